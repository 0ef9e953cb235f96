use bruit::admin::message::{AddNode, BanRequest, OfPeer};
use serde_json::json;

use crate::{
    args::{AddnodeArgs, Api, BanArgs, PeerArgs, TopicArgs, UnbanArgs, is_subject},
    commands::{block_on, client},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn unsubscribe(args: &TopicArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    block_on(async { Ok(client.unsubscribe(&args.topic).await?) })?;
    output.result(&json!({ "unsubscribed": args.topic }), |_| format!("{} is wanted no longer", args.topic));
    Ok(Exit::Held)
}

pub(super) fn addnode(args: &AddnodeArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let wish = AddNode { addr: args.addr.clone(), remove: args.remove };
    block_on(async { Ok(client.addnode(&wish).await?) })?;
    let verb = if args.remove { "removed" } else { "added" };
    output.result(&json!({ verb: args.addr }), |_| format!("{verb} {}", args.addr));
    Ok(Exit::Held)
}

pub(super) fn disconnect(args: &PeerArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    block_on(async { Ok(client.disconnect(OfPeer { peer: args.peer }).await?) })?;
    output.result(&json!({ "disconnected": args.peer.to_string() }), |_| format!("goodbye to {}", args.peer));
    Ok(Exit::Held)
}

pub(super) fn ban(args: &BanArgs, output: &Output) -> Result<Exit, Failure> {
    check_subject(&args.subject)?;
    let client = client(&args.api)?;
    let request = BanRequest { subject: args.subject.clone(), seconds: args.seconds, discourage: args.discourage };
    block_on(async { Ok(client.ban(&request).await?) })?;
    output.result(&json!({ "banned": args.subject }), |_| format!("{} is banned", args.subject));
    Ok(Exit::Held)
}

pub(super) fn unban(args: &UnbanArgs, output: &Output) -> Result<Exit, Failure> {
    check_subject(&args.subject)?;
    let client = client(&args.api)?;
    let request = BanRequest { subject: args.subject.clone(), seconds: None, discourage: false };
    block_on(async { Ok(client.unban(&request).await?) })?;
    output.result(&json!({ "unbanned": args.subject }), |_| format!("{} is banned no longer", args.subject));
    Ok(Exit::Held)
}

pub(super) fn shutdown(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    block_on(async { Ok(client.shutdown().await?) })?;
    output.result(&json!({ "stopped": true }), |_| "the node has stopped".to_owned());
    Ok(Exit::Held)
}

fn check_subject(text: &str) -> Result<(), Failure> {
    if is_subject(text) {
        return Ok(());
    }
    Err(Failure::configuration(format!("`{text}` is neither a peer id nor an IP address")))
}

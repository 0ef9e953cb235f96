use std::{future::Future, path::PathBuf, time::Duration};

use bruit::admin::{Client, ClientError};

use crate::{
    args::{Api, BansAction, Command},
    exit::{Exit, Failure},
    output::Output,
    settings::default_data_dir,
};

mod book;
mod call;
mod config;
mod crawl;
mod explain;
mod fetch;
mod folder;
mod key;
mod limits;
mod look;
mod operate;
mod parent;
mod publish;
mod run;
mod script;
mod serve;
mod subscribe;
mod wait;

pub(crate) fn dispatch(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args, output),
        Command::Key(args) => key::key(&args, output),
        Command::Config(args) => config::config(&args.action, output),
        Command::Limits(args) => limits::limits(&args, output),
        Command::Status(api) => look::status(&api, output),
        Command::Peers(args) => look::peers(&args, output),
        Command::Book(args) => book::book(&args, output),
        Command::Bans(args) => match args.action {
            None => book::bans(&args.api, output),
            Some(BansAction::List(api)) => book::bans(&api, output),
            Some(BansAction::Add(args)) => operate::ban(&args, output),
            Some(BansAction::Rm(args)) => operate::unban(&args, output),
        },
        Command::Goodbyes(api) => look::goodbyes(&api, output),
        Command::Files(api) => look::files(&api, output),
        Command::Publish(args) => publish::publish(&args, output),
        Command::Subscribe(args) => subscribe::subscribe(&args, output),
        Command::Explain(args) => explain::explain(&args, output),
        Command::Unsubscribe(args) => operate::unsubscribe(&args, output),
        Command::Fetch(args) => fetch::fetch(&args, output),
        Command::Call(args) => call::call(&args, output),
        Command::Send(args) => call::send(&args, output),
        Command::Serve(args) => serve::serve(&args, output),
        Command::Crawl(args) => crawl::crawl_network(&args, output),
        Command::Wait(args) => wait::wait(&args, output),
        Command::Addnode(args) => operate::addnode(&args, output),
        Command::Disconnect(args) => operate::disconnect(&args, output),
        Command::Ban(args) => operate::ban(&args, output),
        Command::Unban(args) => operate::unban(&args, output),
        Command::Shutdown(api) => operate::shutdown(&api, output),
    }
}

/// Runs what a command asks of a node.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn client(api: &Api) -> Result<Client, Failure> {
    let beside = |dir: PathBuf| dir.join("api.sock");
    let path = api.api.clone().or_else(|| api.data_dir.clone().or_else(default_data_dir).map(beside));
    path.map(Client::new).ok_or_else(|| Failure::configuration("name the node with --api or --data-dir"))
}

fn seconds(value: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value).map_err(|_| Failure::configuration(format!("{value} is no number of seconds")))
}

/// Whether a node may be about to come up.
const fn is_unreachable(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { .. })
}

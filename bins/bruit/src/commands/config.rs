use std::collections::BTreeMap;

use bruit::{Config, Effective, Source};
use serde::Serialize;
use serde_json::json;

use crate::{
    args::ConfigAction,
    exit::{Exit, Failure},
    output::Output,
};

#[derive(Serialize)]
struct Printed {
    config: Config,
    sources: BTreeMap<String, Source>,
}

pub(super) fn config(action: &ConfigAction, output: &Output) -> Result<Exit, Failure> {
    match action {
        ConfigAction::Print(settings) => {
            let effective = settings.resolve()?;
            let sources = effective.all_sources().into_iter().collect();
            let printed = Printed { config: effective.config.clone(), sources };
            output.result(&printed, |_| Effective::to_toml(&effective));
        }
        ConfigAction::Check(settings) => {
            settings.resolve()?.config.check()?;
            output.result(&json!({ "ok": true }), |_| "the settings can be used".to_owned());
        }
    }
    Ok(Exit::Held)
}

use bruit::{Limit, admin::message::Limits};

use crate::{
    args::LimitsArgs,
    commands::block_on,
    exit::{Exit, Failure},
    output::Output,
    table::Table,
};

/// As the settings make them, or as the node has them that runs with these settings.
pub(super) fn limits(args: &LimitsArgs, output: &Output) -> Result<Exit, Failure> {
    let config = args.settings.resolve()?.config;
    let limits = if args.running {
        let api = config.api_path().ok_or_else(|| Failure::configuration("--running: no --api and no --data-dir"))?;
        block_on(async { Ok(bruit::admin::Client::new(api).limits().await?) })?
    } else {
        Limits { limits: bruit::limits(&config) }
    };
    output.table(&limits, |limits| {
        let mut table = Table::new(&["LIMIT", "VALUE", "DEFAULT", "WHERE THE DEFAULT COMES FROM"]);
        for Limit { of, name, setting, value, default, source, bounds: _ } in &limits.limits {
            let name = setting.clone().unwrap_or_else(|| format!("{of} {name}"));
            table.row([name, value.clone(), default.clone(), source.clone()]);
        }
        table
    });
    Ok(Exit::Held)
}

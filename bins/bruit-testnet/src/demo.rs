//! The demo: six steps over one network, each with a deadline and with claims that its numbers must bear out.

use std::{process::ExitCode, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

mod bad;
mod catch_up;
mod decimate;
mod fetch;
mod find;
mod publish;
mod source;
mod start;

pub(crate) use find::find_each_other;
pub(crate) use start::start;

use bad::BadApplications;
use source::Source;

use crate::{
    args::DemoArgs,
    failure::Failure,
    network::{Folder, Loopback, Network},
    print,
    progress::{Progress, say},
    report::{Report, STEPS, Step, Terms, failed_claims, not_applicable, table},
    signals::Signals,
};

const NAMES: [&str; STEPS] =
    ["start", "find each other", "publish and repair", "fetch by calls", "kill and return", "end all nodes"];
/// How long each step may take. The last one's is what `Network::stop_all` gives the nodes, and some more.
const LIMITS: [Duration; STEPS] = [
    Duration::from_secs(30),
    Duration::from_secs(45),
    Duration::from_secs(30),
    Duration::from_secs(45),
    Duration::from_secs(45),
    Duration::from_secs(5),
];
/// How long all steps may take together.
const LIMIT: Duration = Duration::from_secs(120);
/// How long all nodes may take to be looked over after a step.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// A demo under way.
struct Demo {
    network: Network,
    terms: Terms,
    source: Source,
    report: Report,
    progress: Progress,
    bad: BadApplications,
    /// Who publishes the first and the last file.
    publisher: usize,
    /// Who is killed and returns: no seed node, and not the publisher.
    returner: usize,
    is_interrupted: bool,
}

/// Runs the demo and prints its report.
pub(crate) async fn run(args: &DemoArgs) -> ExitCode {
    let started = Instant::now();
    let mut report = Report { nodes: args.network.nodes, ..Report::default() };
    let outcome = match Demo::new(args) {
        Ok(mut demo) => {
            let outcome = demo.play(started).await;
            demo.keep_folder(args.network.keep || outcome.is_err() && !demo.is_interrupted);
            report = demo.report;
            outcome
        }
        Err(failure) => Err(failure),
    };
    report.seconds = started.elapsed().as_secs_f64();
    report.ok = outcome.is_ok() && report.failed.is_empty() && report.steps_done == STEPS;
    report.error = outcome.as_ref().err().map(|failure| failure.text.clone());
    let text = table(&report);
    if args.json {
        say(&text);
        print(&serde_json::to_string(&report).expect("a report is expressible in JSON"));
    } else {
        print(&text);
    }
    outcome.err().map_or(ExitCode::SUCCESS, |failure| failure.exit_code())
}

impl Demo {
    fn new(args: &DemoArgs) -> Result<Self, Failure> {
        let mut settings = args.network.settings()?;
        let killed = args.killed(settings.nodes)?;
        let source = Source::new(args.file.as_deref())?;
        let nodes = settings.nodes;
        // From four nodes on neither is a seed node; below that the publisher has to be one.
        let (publisher, returner) = if nodes < 4 { (0, nodes - 1) } else { (nodes - 1, nodes - 2) };
        let needed = (0..settings.seeds()).chain([publisher, returner]).collect();
        settings.bad = bad::choose(&settings, args.bad_share, &needed)?;
        let terms = Terms { killed, ..Terms::of(&settings) };
        let bad_nodes = settings.bad.len();
        let report = Report { nodes, bad_nodes, not_applicable: not_applicable(terms), ..Report::default() };
        let network = Network::new(settings, Folder::new(args.network.dir.as_deref())?)?;
        Ok(Self {
            network,
            terms,
            source,
            report,
            progress: Progress::hidden(),
            bad: BadApplications::default(),
            publisher,
            returner,
            is_interrupted: false,
        })
    }

    /// Plays all steps up to the first that fails, or until a signal comes; always ends the nodes.
    async fn play(&mut self, started: Instant) -> Result<(), Failure> {
        let mut signals = Signals::listen().map_err(|error| Failure::claim(format!("no signals: {error}")))?;
        if self.network.loopback() == Loopback::Shared {
            say("note: this system lets nodes have 127.0.0.1 only: they share it");
        }
        let deadline = started + LIMIT - LIMITS[STEPS - 1];
        let outcome = tokio::select! {
            name = signals.next() => Err(self.interrupted(name)),
            outcome = self.play_steps(deadline) => outcome,
        };
        let ended = tokio::select! {
            name = signals.next() => {
                self.network.kill_all().await;
                Err(Failure::claim(format!("all nodes were killed because of {name} while they were ending")))
            }
            ended = self.end() => ended,
        };
        outcome.and(ended)
    }

    async fn play_steps(&mut self, deadline: Instant) -> Result<(), Failure> {
        for step in 1..STEPS {
            let started = Instant::now();
            self.progress = Progress::begin(title(step));
            let limit = deadline.min(started + LIMITS[step - 1]);
            let outcome = match timeout_at(limit, self.perform(step)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let (seconds, what) = (started.elapsed().as_secs(), self.progress.waiting_for());
                    Err(Failure::claim(format!("not done after {seconds} s, still waiting for {what}")))
                }
            };
            self.look_over().await;
            let outcome = outcome.and_then(|note| self.check(step).map(|()| note));
            if outcome.is_err() {
                // Folders stay after a failure; what the nodes know at this moment is put into them.
                let _ = timeout(LOOK_LIMIT, self.network.take_down()).await;
            }
            self.record(step, started, outcome)?;
        }
        Ok(())
    }

    /// Does what a step is about; the answer is for a person.
    async fn perform(&mut self, step: usize) -> Result<String, Failure> {
        match step {
            1 => {
                let note = start(&mut self.network, &self.progress).await?;
                self.bad.start(&self.network).await?;
                let bad = self.report.bad_nodes;
                Ok(if bad == 0 { note } else { format!("{note}, {bad} of them bad") })
            }
            2 => {
                let found = find_each_other(&mut self.network, &self.progress).await?;
                self.report.degree_mean = found.degree_mean();
                Ok(format!("{:.1} connections a node", found.degree_mean()))
            }
            3 => publish::publish_and_repair(self).await,
            4 => fetch::fetch_by_calls(self).await,
            _ => {
                let note = catch_up::kill_and_return(self).await?;
                if self.terms.killed == 0 {
                    return Ok(note);
                }
                Ok(format!("{note}; {}", decimate::kill_most(self).await?))
            }
        }
    }

    /// Ends all nodes; the last step, if all others were done.
    async fn end(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        self.progress = Progress::begin(title(STEPS));
        self.progress.set(0, 1, "the nodes to end");
        let outcome = match timeout(LIMITS[STEPS - 1], self.network.stop_all()).await {
            Ok((nodes, 0)) => Ok(format!("{nodes} nodes ended")),
            Ok((nodes, killed)) => Ok(format!("{nodes} nodes ended, {killed} of them had to be killed")),
            Err(_) => Err(Failure::claim("not all nodes could be ended")),
        };
        if self.report.steps_done == STEPS - 1 || outcome.is_err() {
            return self.record(STEPS, started, outcome);
        }
        self.progress.end(&outcome.unwrap_or_default());
        Ok(())
    }

    /// Takes down what every step may change: memory, and the most pushes of a message.
    async fn look_over(&mut self) {
        let mib = self.network.memory_mib_max();
        self.report.rss_mib_max = [self.report.rss_mib_max, mib].into_iter().flatten().reduce(f64::max);
        // After a failure some nodes may not answer; the failure says so.
        if let Ok(Ok(statuses)) = timeout(LOOK_LIMIT, self.network.statuses()).await {
            let pushes = statuses.iter().map(|status| status.gossip.pushes_max).max();
            self.report.pushes_max = self.report.pushes_max.max(pushes.unwrap_or_default());
        }
    }

    /// Holds the numbers to the step's claims.
    fn check(&mut self, step: usize) -> Result<(), Failure> {
        if let Some(casualty) = self.network.casualty() {
            return Err(casualty);
        }
        let failed = failed_claims(step, &self.report, self.terms);
        if failed.is_empty() {
            return Ok(());
        }
        let text = failed.join("; ");
        self.report.failed.extend(failed);
        Err(Failure::claim(text))
    }

    fn record(&mut self, step: usize, started: Instant, outcome: Result<String, Failure>) -> Result<(), Failure> {
        let seconds = started.elapsed().as_secs_f64();
        let done = outcome.is_ok();
        let note = match &outcome {
            Ok(note) => note.clone(),
            Err(failure) => failure.text.clone(),
        };
        self.progress.end(&format!("{} in {seconds:.1} s: {note}", if done { "done" } else { "FAILED" }));
        self.report.steps.push(Step { step, name: NAMES[step - 1], done, seconds, note });
        self.report.steps_done += usize::from(done);
        outcome.map(drop).map_err(|failure| Failure { text: format!("step {step}: {}", failure.text), ..failure })
    }

    fn interrupted(&mut self, signal: &str) -> Failure {
        self.is_interrupted = true;
        let (step, what) = (self.report.steps_done + 1, self.progress.waiting_for());
        self.progress.end(&format!("ended by {signal}"));
        Failure::claim(format!("step {step}: ended by {signal} while waiting for {what}"))
    }

    fn keep_folder(&mut self, keep: bool) {
        let folder = self.network.folder();
        if keep {
            folder.keep();
        }
        if folder.is_kept() {
            self.report.dir = Some(folder.path().display().to_string());
        }
    }
}

fn title(step: usize) -> String {
    format!("{step}/{STEPS} {}", NAMES[step - 1])
}

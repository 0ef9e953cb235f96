/// A table of the evaluation: a shipped scenario with some values of some keys, and what is shown of it.
#[derive(Debug)]
pub(super) struct Table {
    /// By which plots find it.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, and what is not as it should be.
    pub(super) text: &'static str,
    /// The scenario's file, without its ending.
    pub(super) file: &'static str,
    /// Keys that have another value than in the file.
    pub(super) set: &'static [(&'static str, &'static str)],
    /// Keys that have one value after the other.
    pub(super) over: &'static [(&'static str, &'static str)],
    pub(super) figures: &'static [&'static str],
    /// Figures beside which others stand that come from elsewhere.
    pub(super) published: Published,
    /// The smallest evaluation that it is part of.
    pub(super) size: Size,
}

/// How much is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Smoke,
    Quick,
    Full,
}

/// Figures that come from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Published {
    None,
    /// Means over some runs: ours are compared in standard errors of the difference.
    Means(fn(&[&str]) -> Option<Mean>),
    /// Numbers in columns of their own.
    Columns(&'static [&'static str], fn(&[&str]) -> Vec<Option<f64>>),
}

/// What a computation that shares no code with the engines gave for a row.
#[derive(Clone, Debug)]
pub(super) struct Mean {
    /// For each figure of the table the mean, and one unit of the last digit that was written down.
    pub(super) figures: Vec<(f64, f64)>,
    pub(super) runs: u32,
}

impl Table {
    /// One that shows nothing yet.
    pub(super) const BLANK: Self = Self {
        id: "",
        title: "",
        text: "",
        file: "",
        set: &[],
        over: &[],
        figures: &[],
        published: Published::None,
        size: Size::Quick,
    };
}

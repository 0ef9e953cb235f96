use std::fmt;

use crate::{Glance, ItemFrame, Precheck};

/// The application's look at copies before they are hashed, if it wants one.
#[derive(Default)]
pub(super) struct Check(Option<Box<Look>>);

type Look = dyn FnMut(&Glance) -> Precheck + Send;

impl Check {
    pub(super) fn new(check: impl FnMut(&Glance) -> Precheck + Send + 'static) -> Self {
        Self(Some(Box::new(check)))
    }

    /// What is said of a copy. What cannot be read passes: it will be refused for that.
    pub(super) fn of(&mut self, frame: &ItemFrame) -> Precheck {
        let Some(check) = &mut self.0 else { return Precheck::Pass };
        frame.glance().map_or(Precheck::Pass, |glance| check(&glance))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.0.is_some()).finish()
    }
}

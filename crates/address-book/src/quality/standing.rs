use crate::Config;

/// What a quality means for how a peer is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Standing {
    /// It earned a ban.
    Bannable,
    /// What it tells is ignored, and it is discouraged: it may connect while there is room.
    Ignored,
    /// Others are not told of it.
    Unshared,
    /// Nothing speaks against it.
    Good,
}

impl Standing {
    /// The standing of a total, in thousandths of a point.
    pub const fn of(total: i32, settings: &Config) -> Self {
        match total {
            total if total < settings.ban_below => Self::Bannable,
            total if total < settings.ignore_below => Self::Ignored,
            total if total < settings.share_from => Self::Unshared,
            _ => Self::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_holds_to_the_point() {
        let standings = |limit: i32| [limit - 1, limit, limit + 1].map(|total| Standing::of(total, &Config::default()));
        assert_eq!(standings(-30_000), [Standing::Bannable, Standing::Ignored, Standing::Ignored]);
        assert_eq!(standings(-15_000), [Standing::Ignored, Standing::Unshared, Standing::Unshared]);
        assert_eq!(standings(-5_000), [Standing::Unshared, Standing::Good, Standing::Good]);
    }
}

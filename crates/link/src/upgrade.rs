use std::{convert::Infallible, future, sync::Arc};

use libp2p_core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p_swarm::{Stream, StreamProtocol};

/// Negotiates any of a protocol's names; the stream comes as it is.
#[derive(Clone, Debug)]
pub struct LaneUpgrade {
    names: Arc<[StreamProtocol]>,
    next: usize,
}

impl LaneUpgrade {
    pub(crate) fn new(names: &[StreamProtocol]) -> Self {
        Self { names: names.into(), next: 0 }
    }
}

/// The names in turn. The swarm asks for them at every poll of a connection, so nothing is allocated.
impl Iterator for LaneUpgrade {
    type Item = StreamProtocol;

    fn next(&mut self) -> Option<StreamProtocol> {
        let name = self.names.get(self.next)?.clone();
        self.next += 1;
        Some(name)
    }
}

impl UpgradeInfo for LaneUpgrade {
    type Info = StreamProtocol;
    type InfoIter = Self;

    fn protocol_info(&self) -> Self {
        self.clone()
    }
}

impl InboundUpgrade<Stream> for LaneUpgrade {
    type Output = Stream;
    type Error = Infallible;
    type Future = future::Ready<Result<Stream, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        future::ready(Ok(stream))
    }
}

impl OutboundUpgrade<Stream> for LaneUpgrade {
    type Output = Stream;
    type Error = Infallible;
    type Future = future::Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        future::ready(Ok(stream))
    }
}

pub(crate) fn start(_: crate::Git, _: tokio_util::sync::CancellationToken) {}

impl crate::Git {
    pub(crate) async fn settle_all(&self) -> kernel::Result<()> {
        Ok(())
    }
}

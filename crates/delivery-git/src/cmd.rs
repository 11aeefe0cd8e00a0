pub(crate) static COMMANDS: [cli::Command; 0] = [];

use redis::{Cmd, FromRedisValue, ToRedisArgs};

use super::{CacheError, Redis};

/// A Lua script. All keys it touches are given to it, so that it runs on a cluster.
pub struct Script(redis::Script, &'static str);

impl Script {
    /// A script with this text.
    pub fn new(text: &'static str) -> Self {
        Self(redis::Script::new(text), text)
    }

    /// A call of the script. Arguments go behind the keys.
    pub fn call(&self, keys: &[impl AsRef<str>]) -> Call<'_> {
        let mut arguments = Cmd::new();
        arguments.arg(keys.len());
        for key in keys {
            arguments.arg(key.as_ref());
        }
        Call { script: self, arguments }
    }
}

/// A script with its keys and arguments.
pub struct Call<'a> {
    script: &'a Script,
    arguments: Cmd,
}

impl Call<'_> {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.arg(argument);
        self
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script);
        for argument in self.arguments.args_iter() {
            if let redis::Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }

    /// Runs the script: by its hash, and by its text where the server does not know it (any more).
    pub async fn run<T: FromRedisValue>(&self, redis: &Redis) -> Result<T, CacheError> {
        match redis.query(&self.command("EVALSHA", self.script.0.get_hash())).await {
            Err(error) if is_unknown_script(&error) => redis.query(&self.command("EVAL", self.script.1)).await,
            answer => answer,
        }
    }

    /// Like [`Self::run`], for what must not be skipped: see [`Redis::insist`].
    pub async fn insist<T: FromRedisValue>(&self, redis: &Redis) -> Result<T, CacheError> {
        match redis.insist(&self.command("EVALSHA", self.script.0.get_hash())).await {
            Err(error) if is_unknown_script(&error) => redis.insist(&self.command("EVAL", self.script.1)).await,
            answer => answer,
        }
    }
}

fn is_unknown_script(error: &CacheError) -> bool {
    matches!(error, CacheError::Redis(error) if error.code() == Some("NOSCRIPT"))
}

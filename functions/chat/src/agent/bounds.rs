//! How far one answer may go.

use shared::config::{LlmConfig, Price};
use shared::metrics;
use shared::tenants::ChatSettings;
use tokio::time::Instant;

use crate::event::{FinishReason, Usage};

/// A turn that could write fewer tokens is not begun.
const LEAST_OUTPUT: u64 = 64;
/// What a turn writes that calls tools, at most, as a rule. What it may write is more.
const USUAL_OUTPUT: u64 = 256;
/// With less time left than this share of all, the turn is the last.
const LAST_SHARE: u32 = 5;

/// What is left of what an answer may take.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Turns of the model.
    pub(crate) steps: u32,
    /// Tokens that a turn may write.
    pub(crate) output_tokens: u32,
    /// Tokens, read and written.
    pub(crate) tokens: u64,
    /// US dollars.
    pub(crate) dollars: f64,
    /// What the model's tokens cost, if it is known.
    pub(crate) price: Option<Price>,
    /// When the answer must be at its end.
    pub(crate) until: Instant,
    /// From then on a turn is the last.
    pub(crate) hurry: Instant,
}

/// What one turn may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Tokens that it may write.
    pub(crate) max_tokens: u32,
    /// Whether there is no turn after it.
    pub(crate) last: bool,
}

impl Bounds {
    /// Those of an answer that begins `now`, as the tenant has them or else the deployment; it ends before `deadline`, if one is
    /// known.
    pub(crate) fn new(
        config: &LlmConfig,
        tenant: &ChatSettings,
        model: &str,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        let own = now + config.time;
        let until = deadline.map_or(own, |deadline| deadline.min(own));
        Self {
            steps: config.max_steps,
            output_tokens: tenant.max_output_tokens.unwrap_or(config.max_output_tokens),
            tokens: tenant.max_tokens.unwrap_or(config.max_tokens).into(),
            dollars: f64::from(tenant.max_cents.unwrap_or(config.max_cents)) / 100.0,
            price: config.prices.get(model).copied(),
            until,
            hurry: until - until.saturating_duration_since(now) / LAST_SHARE,
        }
    }

    /// What a turn may take whose prompt has so many tokens, or why there is none.
    pub(crate) fn next(&self, prompt: u64, now: Instant) -> Result<Allowance, FinishReason> {
        if self.steps == 0 || now >= self.until {
            return Err(FinishReason::Length);
        }
        let wanted = u64::from(self.output_tokens);
        let least = wanted.min(LEAST_OUTPUT);
        let by_tokens = self.tokens.saturating_sub(prompt);
        let by_money = self.affordable(prompt);
        if by_tokens < least {
            return Err(FinishReason::Length);
        }
        if by_money < least {
            return Err(FinishReason::Budget);
        }
        let output = wanted.min(by_tokens).min(by_money);
        // Whether there is enough for another turn, which reads what this one read and wrote.
        let usual = output.min(USUAL_OUTPUT);
        let left = self.after(Usage::of(prompt, usual));
        let last = self.steps == 1
            || now >= self.hurry
            || left.tokens < prompt + usual + least
            || left.affordable(prompt + usual) < least;
        Ok(Allowance { max_tokens: u32::try_from(output).unwrap_or(u32::MAX), last })
    }

    /// Counts a turn.
    pub(crate) fn spend(&mut self, usage: Usage) {
        self.steps -= 1;
        let after = self.after(usage);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a turn costs cents, and nothing less"
        )]
        metrics::CHAT_COST.add(((self.dollars - after.dollars) * 1e6).round() as u64);
        metrics::CHAT_TOKENS.add_of("input", usage.input_tokens as u64);
        metrics::CHAT_TOKENS.add_of("output", usage.output_tokens as u64);
        *self = after;
    }

    /// What would be left after a turn.
    fn after(&self, usage: Usage) -> Self {
        let (input, output) = (usage.input_tokens as u64, usage.output_tokens as u64);
        let dollars = self.price.map_or(0.0, |price| cost(price.input, input) + cost(price.output, output));
        Self { tokens: self.tokens.saturating_sub(input + output), dollars: self.dollars - dollars, ..self.clone() }
    }

    /// The tokens that can be paid for once the prompt is.
    fn affordable(&self, prompt: u64) -> u64 {
        let Some(price) = self.price else { return u64::MAX };
        let left = self.dollars - cost(price.input, prompt);
        if price.output == 0.0 {
            return if left < 0.0 { 0 } else { u64::MAX };
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of tokens, rounded down")]
        let tokens = (left / price.output * 1e6).max(0.0) as u64;
        tokens
    }
}

/// What tokens cost at a price for a million.
fn cost(price: f64, tokens: u64) -> f64 {
    price * tokens as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::config::Variables;

    use super::*;

    fn bounds(pairs: &[(&str, &str)]) -> Bounds {
        let config = LlmConfig::from_variables(&Variables::from_pairs(pairs.iter().copied())).unwrap();
        Bounds::new(&config, &ChatSettings::default(), "extractive", Instant::now(), None)
    }

    fn turns(mut bounds: Bounds, usage: Usage) -> (Vec<Allowance>, FinishReason) {
        let mut turns = Vec::new();
        loop {
            match bounds.next(usage.input_tokens as u64, Instant::now()) {
                Ok(turn) => turns.push(turn),
                Err(reason) => return (turns, reason),
            }
            bounds.spend(usage);
        }
    }

    #[test]
    fn steps_end_and_the_last_is_known() {
        let (turns, reason) = turns(bounds(&[("CHAT_MAX_STEPS", "3")]), Usage::of(10, 10));
        assert_eq!(turns.iter().map(|turn| turn.last).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((turns[0].max_tokens, reason), (1024, FinishReason::Length));
    }

    #[test]
    fn tokens_end_and_what_is_left_may_be_written() {
        let (turns, reason) = turns(bounds(&[("CHAT_MAX_TOKENS", "5000")]), Usage::of(1500, 500));
        let expected = [(1024, false), (1024, true)];
        assert_eq!(turns.iter().map(|turn| (turn.max_tokens, turn.last)).collect::<Vec<_>>(), expected);
        assert_eq!(reason, FinishReason::Length);
        let mut small = bounds(&[("CHAT_MAX_TOKENS", "1000")]);
        assert_eq!(small.next(900, Instant::now()), Ok(Allowance { max_tokens: 100, last: true }));
        small.spend(Usage::of(900, 50));
        assert_eq!(small.next(10, Instant::now()), Err(FinishReason::Length));
    }

    #[test]
    fn money_ends() {
        // A cent for a thousand tokens read, and for a hundred written.
        let prices = r#"{"extractive": {"input": 10, "output": 100}}"#;
        let bounds = bounds(&[("LLM_PRICES", prices), ("CHAT_MAX_CENTS", "10"), ("CHAT_MAX_STEPS", "50")]);
        let (turns, reason) = turns(bounds.clone(), Usage::of(100, 100));
        // Each takes 1.1 cents. Another is sure to be paid for as long as there are 3.7.
        let last: Vec<bool> = turns.iter().map(|turn| turn.last).collect();
        assert_eq!(last, [[false; 6].as_slice(), &[true; 3]].concat());
        assert_eq!(reason, FinishReason::Budget);
        assert!((980..=990).contains(&turns[0].max_tokens), "{turns:?}");
        assert!((100..=110).contains(&turns[8].max_tokens), "{turns:?}");
        assert_eq!(bounds.next(10_000, Instant::now()), Err(FinishReason::Budget), "the prompt alone costs it all");
    }

    #[test]
    fn time_ends_and_the_function_may_end_earlier() {
        let config = LlmConfig::from_variables(&Variables::default()).unwrap();
        let now = Instant::now();
        let bounds =
            Bounds::new(&config, &ChatSettings::default(), "extractive", now, Some(now + Duration::from_secs(50)));
        for (seconds, last) in [(0, false), (39, false), (41, true), (49, true)] {
            let turn = bounds.next(10, now + Duration::from_secs(seconds)).unwrap();
            assert_eq!(turn.last, last, "{seconds}");
        }
        assert_eq!(bounds.next(10, now + Duration::from_secs(50)), Err(FinishReason::Length));
        let later =
            Bounds::new(&config, &ChatSettings::default(), "extractive", now, Some(now + Duration::from_mins(15)));
        assert_eq!(later.until, now + config.time);
    }
}

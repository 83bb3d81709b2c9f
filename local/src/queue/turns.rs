use std::collections::HashMap;

use shared::clients::Place;
use shared::tenancy::TenantId;

/// Whose turn it is, fair among groups as SQS is: first the group with the fewest messages in work, then the one whose last
/// turn is the longest ago, and within a group the oldest message. A message without a group stands for itself.
#[derive(Debug, Default)]
pub(super) struct Turns {
    groups: HashMap<TenantId, Group>,
    turns: u64,
}

#[derive(Debug, Default)]
struct Group {
    in_work: usize,
    last_turn: u64,
}

impl Turns {
    /// The place in the list of the message that is next. The list must have the oldest first.
    pub(super) fn next(&mut self, waiting: &[Place]) -> Option<usize> {
        if waiting.is_empty() {
            // Nobody is owed a turn, so nobody need be remembered.
            self.groups.retain(|_, group| group.in_work > 0);
        }
        let rank = |place: &Place| {
            let group = place.group.as_ref().and_then(|group| self.groups.get(group));
            group.map_or((0, 0), |group| (group.in_work, group.last_turn))
        };
        waiting.iter().enumerate().min_by_key(|(_, place)| rank(place)).map(|(index, _)| index)
    }

    /// A message of the group goes to a worker.
    pub(super) fn begin(&mut self, group: Option<&TenantId>) {
        if let Some(group) = group {
            self.turns += 1;
            let group = self.groups.entry(group.clone()).or_default();
            group.in_work += 1;
            group.last_turn = self.turns;
        }
    }

    /// A worker has ended with a message of the group.
    pub(super) fn end(&mut self, group: Option<&TenantId>) {
        if let Some(group) = group.and_then(|group| self.groups.get_mut(group)) {
            group.in_work = group.in_work.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::clients::FolderQueue;

    use super::*;

    /// The groups in the order of their turns, if each message is done before so many others have begun.
    fn order(sent: &str, side_by_side: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let queue = FolderQueue::open(folder.path()).unwrap();
        for group in sent.chars() {
            let group = (group != '-').then(|| group.to_string().parse().unwrap());
            queue.send(group.as_ref(), "", Duration::ZERO).unwrap();
            // Ids sort by the millisecond.
            std::thread::sleep(Duration::from_millis(2));
        }
        let (mut waiting, mut turns) = (queue.list().unwrap(), Turns::default());
        let (mut order, mut in_work) = (String::new(), Vec::new());
        while let Some(next) = turns.next(&waiting) {
            let place = waiting.remove(next);
            turns.begin(place.group.as_ref());
            order.push_str(place.group.as_ref().map_or("-", TenantId::as_str));
            in_work.push(place);
            if in_work.len() == side_by_side {
                turns.end(in_work.remove(0).group.as_ref());
            }
        }
        order
    }

    #[test]
    fn groups_take_turns_whoever_came_first() {
        assert_eq!(order("aaaaaabbc", 1), "abcabaaaa");
        assert_eq!(order("aaaaaab", 2), "abaaaaa");
    }

    #[test]
    fn one_group_alone_and_messages_without_one_are_first_in_first_out() {
        assert_eq!(order("aaa", 2), "aaa");
        assert_eq!(order("---", 2), "---");
    }

    #[test]
    fn a_group_with_less_in_work_goes_first() {
        // With three side by side, `a` has two when `b` and `c` come up.
        assert_eq!(order("aaaabc", 3), "abcaaa");
    }

    #[test]
    fn groups_without_work_are_forgotten() {
        let (mut turns, tenant) = (Turns::default(), "acme".parse().unwrap());
        turns.begin(Some(&tenant));
        turns.next(&[]);
        assert_eq!(turns.groups.len(), 1, "its message is in work");
        turns.end(Some(&tenant));
        turns.next(&[]);
        assert_eq!(turns.groups.len(), 0);
    }
}

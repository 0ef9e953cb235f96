use std::collections::VecDeque;

/// A queue is at its limit; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue holds its limit of items")]
pub struct QueueFullError<T>(pub T);

/// A first-in first-out queue with a limit.
#[derive(Clone, Debug)]
pub struct BoundedQueue<T> {
    items: VecDeque<T>,
    limit: usize,
}

impl<T> BoundedQueue<T> {
    /// Makes an empty queue of at most `limit` items.
    pub const fn new(limit: usize) -> Self {
        Self { items: VecDeque::new(), limit }
    }

    /// Appends an item, or gives it back when the queue is full.
    pub fn push(&mut self, item: T) -> Result<(), QueueFullError<T>> {
        if self.items.len() >= self.limit {
            return Err(QueueFullError(item));
        }
        self.items.push_back(item);
        Ok(())
    }

    /// Appends an item; when the queue is full, the oldest one makes room and is returned.
    pub fn push_over_oldest(&mut self, item: T) -> Option<T> {
        if self.limit == 0 {
            return Some(item);
        }
        let oldest = if self.items.len() >= self.limit { self.items.pop_front() } else { None };
        self.items.push_back(item);
        oldest
    }

    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// The oldest item.
    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    /// All items, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_limit_and_no_more() {
        let mut queue = BoundedQueue::new(2);
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.push(3), Err(QueueFullError(3)));
        assert_eq!(queue.push_over_oldest(4), Some(1));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(4), None));
        assert_eq!(BoundedQueue::new(0).push_over_oldest(9), Some(9));
    }
}

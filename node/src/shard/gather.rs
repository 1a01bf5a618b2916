//! Collects the answers of the parts of one request, which may come in any order and from several shards.
//!
//! What must hold: each part answers exactly once; the last one runs the finish.

use std::cell::{Cell, RefCell};

/// What is done with all answers.
type Finish<T> = Box<dyn FnOnce(Vec<T>)>;

/// Answers by the index of their part.
pub(crate) struct Gather<T> {
    missing: Cell<usize>,
    answers: RefCell<Vec<Option<T>>>,
    finish: Cell<Option<Finish<T>>>,
}

impl<T> Gather<T> {
    /// Waits for `parts` answers, of which there is at least one; then calls `finish`.
    pub(crate) fn new(parts: usize, finish: impl FnOnce(Vec<T>) + 'static) -> Self {
        assert!(parts > 0, "a request without parts has nobody to finish it");
        Self {
            missing: Cell::new(parts),
            answers: RefCell::new(std::iter::repeat_with(|| None).take(parts).collect()),
            finish: Cell::new(Some(Box::new(finish))),
        }
    }

    /// Takes the answer of one part.
    pub(crate) fn put(&self, part: usize, answer: T) {
        let before = self.answers.borrow_mut()[part].replace(answer);
        assert!(before.is_none(), "part {part} answered twice");
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() == 0 {
            let answers = self.answers.take().into_iter().flatten().collect();
            let finish = self.finish.take().expect("the last part answers once");
            finish(answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn the_last_answer_finishes_in_order_of_the_parts() {
        let result = Rc::new(RefCell::new(Vec::new()));
        let seen = result.clone();
        let gather = Gather::new(3, move |answers| *seen.borrow_mut() = answers);
        gather.put(2, 'c');
        gather.put(0, 'a');
        assert!(result.borrow().is_empty());
        gather.put(1, 'b');
        assert_eq!(*result.borrow(), ['a', 'b', 'c']);
    }

    #[test]
    #[should_panic(expected = "answered twice")]
    fn a_second_answer_is_a_broken_invariant() {
        let gather = Gather::new(2, |_| ());
        gather.put(0, ());
        gather.put(0, ());
    }
}

//! Calls of tools in a stream, put together from their fragments.

use super::arguments::Arguments;
use crate::chat::ToolCall;

/// The calls of one answer, in their order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The one that is open, or opens next.
    current: usize,
}

/// One call.
#[derive(Debug, Default)]
pub(super) struct Call {
    index: Option<u64>,
    /// The model server's identifier.
    pub(super) id: Option<String>,
    /// What is called; arguments wait for it.
    pub(super) name: Option<String>,
    arguments: Arguments,
    /// Arguments that may go out.
    ready: String,
}

impl Call {
    /// Whether its arguments are all there.
    pub(super) fn is_whole(&self) -> bool {
        self.arguments.is_whole()
    }

    /// Takes the arguments that may go out. `all`: nothing more comes.
    pub(super) fn ready(&mut self, all: bool) -> String {
        if all {
            self.arguments.finish(&mut self.ready);
        }
        std::mem::take(&mut self.ready)
    }
}

impl Calls {
    /// Takes a fragment.
    pub(super) fn take(&mut self, fragment: &ToolCall) {
        let at = self.find(fragment);
        if at == self.calls.len() {
            self.calls.push(Call {
                index: fragment.index,
                ..Call::default()
            });
        }
        let Some(call) = self.calls.get_mut(at) else {
            return;
        };
        // Some servers say them again in every fragment.
        if call.id.is_none() {
            call.id = non_empty(fragment.id.as_ref()).cloned();
        }
        if call.name.is_none() {
            call.name = non_empty(fragment.function.name.as_ref()).cloned();
        }
        if let Some(arguments) = &fragment.function.arguments {
            call.arguments.push(arguments, &mut call.ready);
        }
    }

    /// The call that is open, or opens next.
    pub(super) fn current(&self) -> Option<&Call> {
        self.calls.get(self.current)
    }

    /// The same.
    pub(super) fn current_mut(&mut self) -> Option<&mut Call> {
        self.calls.get_mut(self.current)
    }

    /// Its number in the answer.
    pub(super) fn number(&self) -> usize {
        self.current
    }

    /// Goes on to the next call.
    pub(super) fn next(&mut self) {
        self.current = self.current.saturating_add(1);
    }

    /// Which call a fragment belongs to. The index says it; where a server has none, or the same for all, a fragment with an identifier and a name begins a call.
    fn find(&self, fragment: &ToolCall) -> usize {
        let id = non_empty(fragment.id.as_ref());
        let begins = non_empty(fragment.function.name.as_ref()).is_some();
        let known = match (fragment.index, id) {
            (Some(index), _) => self
                .calls
                .iter()
                .rposition(|call| call.index == Some(index)),
            (None, Some(id)) => self
                .calls
                .iter()
                .rposition(|call| call.id.as_ref() == Some(id)),
            (None, None) if begins => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        match known.and_then(|at| Some((at, self.calls.get(at)?))) {
            Some((at, call)) => {
                let other = begins && call.name.is_some() && id.is_some() && call.id.as_ref() != id;
                if other { self.calls.len() } else { at }
            }
            None => self.calls.len(),
        }
    }
}

fn non_empty(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

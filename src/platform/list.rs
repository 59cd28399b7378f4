//! The whole price list: which models there are, page by page, then what they cost, fifty at a time.

use std::collections::HashSet;
use std::sync::Arc;

use super::paging::Pages;
use super::{Platform, PlatformError};
use crate::fal::Endpoint;
use crate::pricing::{PriceList, read_models, read_prices};
use crate::secret::Secret;

/// Endpoints of which one question asks the prices: as many as fal allows.
const ENDPOINTS_PER_QUESTION: usize = 50;
/// The most models that are listed; fal has about a thousand.
pub(super) const MODELS_MAX: usize = 20_000;
/// The most problems that are kept in words; more are counted.
pub(super) const PROBLEMS_MAX: usize = 100;

/// How far a list has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Models whose price was asked.
    pub done: usize,
    /// Models that are known so far.
    pub of: usize,
}

/// A list that is being gathered. When it was interrupted, the next attempt goes on from the page that this one reached;
/// it lives in memory, so that a new process begins anew.
#[derive(Debug, Default)]
pub struct Gathering {
    pages: Pages,
    models: HashSet<Arc<str>>,
    /// Models whose price is still to be asked, the next ones last; `None` until all models are listed.
    questions: Option<Vec<Vec<Arc<str>>>>,
    asked: usize,
    list: PriceList,
    problems: Vec<String>,
    more_problems: usize,
}

/// A whole list.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Every price that fal told and that can be used.
    pub prices: PriceList,
    /// How many models fal lists, with a price or without.
    pub models: usize,
    /// Entries that cannot be used, each in a sentence.
    pub problems: Vec<String>,
    /// Further ones.
    pub more_problems: usize,
}

impl Gathering {
    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    fn progress(&self) -> Progress {
        Progress { done: self.asked, of: self.models.len() }
    }

    fn note(&mut self, problem: String) {
        match self.problems.len() {
            0..PROBLEMS_MAX => self.problems.push(problem),
            _ => self.more_problems += 1,
        }
    }

    /// Takes a model that a call could name; fal's list may have any text.
    fn add_model(&mut self, id: &Arc<str>) -> Result<(), PlatformError> {
        if Endpoint::parse(id).is_err() {
            self.note(format!("the model {id:?} has a name that no call can have"));
        } else if self.models.len() >= MODELS_MAX && !self.models.contains(id) {
            return Err(PlatformError::Endless(MODELS_MAX, "models"));
        } else {
            self.models.insert(id.clone());
        }
        Ok(())
    }

    fn questions(&mut self) -> &mut Vec<Vec<Arc<str>>> {
        let models = &self.models;
        self.questions.get_or_insert_with(|| {
            let mut sorted: Vec<_> = models.iter().cloned().collect();
            sorted.sort_unstable();
            sorted.chunks(ENDPOINTS_PER_QUESTION).map(<[_]>::to_vec).rev().collect()
        })
    }

    fn finish(self) -> Gathered {
        Gathered {
            models: self.models.len(),
            prices: self.list,
            problems: self.problems,
            more_problems: self.more_problems,
        }
    }
}

impl Platform {
    /// Gathers all prices, going on from wherever `gathering` is, and leaves it empty when it is done. After an error it
    /// is where it was before the question that failed.
    pub async fn gather_prices(
        &self,
        key: &Secret,
        gathering: &mut Gathering,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Gathered, PlatformError> {
        while gathering.questions.is_none() {
            self.list_models(key, gathering).await?;
            progress(gathering.progress());
        }
        while let Some(question) = gathering.questions().pop() {
            self.ask_prices(key, gathering, question).await?;
            progress(gathering.progress());
        }
        Ok(std::mem::take(gathering).finish())
    }

    /// Reads one page of models. A list that cannot be gone on with is begun anew by the next attempt.
    async fn list_models(&self, key: &Secret, gathering: &mut Gathering) -> Result<(), PlatformError> {
        let read = self.page_of_models(key, gathering).await;
        if read.as_ref().is_err_and(|error| !error.is_passing()) {
            *gathering = Gathering::default();
        }
        read
    }

    async fn page_of_models(&self, key: &Secret, gathering: &mut Gathering) -> Result<(), PlatformError> {
        let query: Vec<_> = gathering.pages.cursor().map(|cursor| ("cursor", cursor)).into_iter().collect();
        let page = read_models(&self.get(key, "/v1/models", &query).await?)?;
        page.problems.iter().for_each(|problem| gathering.note(format!("models: {problem}")));
        page.entries.iter().try_for_each(|model| gathering.add_model(&model.endpoint))?;
        if !gathering.pages.turn(page.next_cursor)? {
            gathering.questions();
        }
        Ok(())
    }

    /// Asks what a few models cost. When fal does not understand that, one of them may be the cause: they are asked again
    /// by halves, and the one that is left has no price.
    async fn ask_prices(
        &self,
        key: &Secret,
        gathering: &mut Gathering,
        mut question: Vec<Arc<str>>,
    ) -> Result<(), PlatformError> {
        match self.prices_of(key, gathering, &question).await {
            Ok(()) => gathering.asked += question.len(),
            Err(error) if error.is_misunderstanding() && question.len() > 1 => {
                let half = question.split_off(question.len() / 2);
                gathering.questions().extend([half, question]);
            }
            Err(error) if error.is_misunderstanding() => {
                question.iter().for_each(|id| gathering.note(format!("{id}: {error}")));
                gathering.asked += question.len();
            }
            Err(error) => {
                gathering.questions().push(question);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn prices_of(
        &self,
        key: &Secret,
        gathering: &mut Gathering,
        question: &[Arc<str>],
    ) -> Result<(), PlatformError> {
        let mut pages = Pages::default();
        loop {
            let mut query: Vec<_> = question.iter().map(|id| ("endpoint_id", &**id)).collect();
            query.extend(pages.cursor().map(|cursor| ("cursor", cursor)));
            let page = read_prices(&self.get(key, "/v1/models/pricing", &query).await?)?;
            page.problems.iter().for_each(|problem| gathering.note(format!("prices: {problem}")));
            // What was not asked for is not taken: a page could otherwise say anything about anybody.
            let asked = page.entries.into_iter().filter(|(id, _)| question.contains(id));
            gathering.list.extend(asked);
            if !pages.turn(page.next_cursor)? {
                return Ok(());
            }
        }
    }
}

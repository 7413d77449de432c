//! Files against the columns of their target, before COPY. Whatever cannot be compared is left to COPY, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::drift::{self, Misfit};
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::Millis;
use loader_core::tracker::slot::KnownColumns;

use crate::ports::{PortResult, World};
use crate::reconcile::Round;
use crate::report::Event;

/// The columns of a file as they were read, or why they could not be.
pub type ShapeRead = Result<Vec<FileColumn>, String>;
/// The same, shared by the files that have the same.
pub type Shape = Arc<ShapeRead>;

/// The distinct shapes of a load: few, however many its files.
#[derive(Default)]
pub struct Shapes(BTreeSet<Shape>);

impl Shapes {
    /// The shape that is known already, or this one from now on.
    pub fn one_of(&mut self, read: ShapeRead) -> Shape {
        let shape = Arc::new(read);
        if let Some(known) = self.0.get(&shape) {
            return known.clone();
        }
        self.0.insert(shape.clone());
        shape
    }
}

impl<W: World> Round<'_, W> {
    /// The files that certainly do not fit, by the ledger ids of `shapes`, and the columns that they were compared with. Columns from before
    /// this look may be out of date, so nothing is refused for them: they are asked for again,
    /// and where that fails nothing is loaded now.
    pub(crate) async fn compare(
        &self,
        config: &LoadConfig,
        columns: Option<KnownColumns>,
        shapes: BTreeMap<String, Shape>,
        began: Millis,
    ) -> PortResult<(Option<KnownColumns>, BTreeMap<String, Misfit>)> {
        if shapes.is_empty() {
            return Ok((columns, BTreeMap::new()));
        }
        let Some(known) = columns else {
            self.not_compared(shapes.len(), "the columns of the table cannot be asked for");
            return Ok((None, BTreeMap::new()));
        };
        let n_unread = shapes.values().filter(|shape| shape.is_err()).count();
        if let Some(why) = shapes.values().find_map(|shape| shape.as_ref().as_ref().err()) {
            self.not_compared(n_unread, why);
        }
        let found = misfits(config, &known, &shapes);
        if found.is_empty() || known.asked_millis >= began {
            return Ok((Some(known), found));
        }
        let asked = self.ask_columns(config).await?;
        let found = misfits(config, &asked, &shapes);
        Ok((Some(asked), found))
    }

    fn not_compared(&self, n_objects: usize, why: &str) {
        self.world.report(&Event::NotCompared { table: self.table.0.clone(), n_objects, why: why.to_owned() });
    }
}

/// Each shape is judged once.
fn misfits(config: &LoadConfig, known: &KnownColumns, shapes: &BTreeMap<String, Shape>) -> BTreeMap<String, Misfit> {
    let mut judged: BTreeMap<&Shape, Option<Misfit>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (id, shape) in shapes {
        let judge = || shape.as_ref().as_ref().ok().and_then(|file| drift::misfit(config, &known.columns, file));
        if let Some(misfit) = judged.entry(shape).or_insert_with(judge) {
            found.insert(id.clone(), misfit.clone());
        }
    }
    found
}

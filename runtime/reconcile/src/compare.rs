//! Compares files with the columns of their target before COPY. What cannot be compared is logged and left to COPY.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::drift::{self, Misfit};
use loader_core::fit::Fit;
use loader_core::parquet::FileColumn;
use loader_core::tracker::item::Millis;
use loader_core::tracker::slot::KnownColumns;

use crate::ports::{PortResult, World};
use crate::reconcile::Round;
use crate::report::Event;

/// The columns of a file, or why they could not be read.
pub type ShapeRead = Result<Vec<FileColumn>, String>;
/// The same, shared by all files with equal columns.
pub type Shape = Arc<ShapeRead>;

/// The distinct shapes of a load: few, however many files it has.
#[derive(Default)]
pub struct Shapes(BTreeSet<Shape>);

impl Shapes {
    /// The known shape that equals this one, or this one from now on.
    pub fn one_of(&mut self, read: ShapeRead) -> Shape {
        let shape = Arc::new(read);
        if let Some(known) = self.0.get(&shape) {
            return known.clone();
        }
        self.0.insert(shape.clone());
        shape
    }
}

/// The verdicts on the files of a load, by their ledger ids.
#[derive(Default)]
pub(crate) struct Judged {
    /// Files that certainly do not fit.
    pub misfits: BTreeMap<String, Misfit>,
    /// How the other files map to the target; a missing entry means by position.
    pub fits: BTreeMap<String, Fit>,
}

impl<W: World> Round<'_, W> {
    /// Judges the files in `shapes`, by their ledger ids, and returns the columns that they were compared with. Columns cached before this
    /// look may be out of date, so they never cause a file to be refused or a column to be added: they are read again first. If that fails,
    /// nothing is loaded now.
    pub(crate) async fn compare(
        &self,
        config: &LoadConfig,
        columns: Option<KnownColumns>,
        shapes: BTreeMap<String, Shape>,
        began: Millis,
    ) -> PortResult<(Option<KnownColumns>, Judged)> {
        if shapes.is_empty() {
            return Ok((columns, Judged::default()));
        }
        let Some(known) = columns else {
            self.not_compared(shapes.len(), "the columns of the table cannot be read");
            return Ok((None, Judged::default()));
        };
        let n_unread = shapes.values().filter(|shape| shape.is_err()).count();
        if let Some(why) = shapes.values().find_map(|shape| shape.as_ref().as_ref().err()) {
            self.not_compared(n_unread, why);
        }
        let found = judge(config, &known, &shapes);
        let is_plain = found.misfits.is_empty() && found.fits.values().all(|fit| fit.added.is_empty());
        if is_plain || known.asked_millis >= began {
            return Ok((Some(known), found));
        }
        let asked = self.ask_columns(config).await?;
        let found = judge(config, &asked, &shapes);
        Ok((Some(asked), found))
    }

    fn not_compared(&self, n_objects: usize, why: &str) {
        self.world.report(&Event::NotCompared { table: self.table.0.clone(), n_objects, why: why.to_owned() });
    }
}

/// Each shape is judged once. Files whose columns could not be read are matched by position.
fn judge(config: &LoadConfig, known: &KnownColumns, shapes: &BTreeMap<String, Shape>) -> Judged {
    let mut verdicts: BTreeMap<&Shape, Result<Fit, Misfit>> = BTreeMap::new();
    let mut found = Judged::default();
    for (id, shape) in shapes {
        let Ok(file) = shape.as_ref() else { continue };
        match verdicts.entry(shape).or_insert_with(|| drift::judge(config, &known.columns, file)) {
            Err(misfit) => _ = found.misfits.insert(id.clone(), misfit.clone()),
            Ok(fit) if *fit == Fit::default() => {}
            Ok(fit) => _ = found.fits.insert(id.clone(), fit.clone()),
        }
    }
    found
}

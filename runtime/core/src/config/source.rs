//! Other origins of objects in a queue's file: another queue, and schedules.

use super::file::{BulkPart, File};
use super::texts::given;
use crate::folder::SourceFolder;
use crate::inventory::parse_folder;
use crate::problem::Problems;
use crate::schedule::{
    DatedPath, SCHEDULES_MAX, Schedule, SourceCheck, TIME_ZONE_DEFAULT, check_expression, check_zone,
};

/// The schedules. Each folder must be inside the source, which is what the functions may read.
pub(super) fn schedules(parts: &[BulkPart], source: Option<&SourceFolder>, problems: &mut Problems) -> Vec<Schedule> {
    if parts.len() > SCHEDULES_MAX {
        problems.add(
            "bulk",
            format!("has `{}` schedules: at most {SCHEDULES_MAX}, so load wider folders less often", parts.len()),
        );
    }
    let read = |(index, part): (usize, &BulkPart)| {
        let field = |name: &str| format!("bulk[{index}].{name}");
        let time_zone = given(part.timezone.as_ref()).unwrap_or(TIME_ZONE_DEFAULT).to_owned();
        problems.take(&field("timezone"), check_zone(&time_zone));
        problems.take(&field("schedule"), check_expression(&part.schedule));
        let path = problems.take(&field("s3_path"), DatedPath::parse(&part.s3_path))?;
        if let Some(source) = source.filter(|source| !path.is_inside(source)) {
            let folder = format!("s3://{}/{}", source.bucket, source.prefix);
            problems.add(
                field("s3_path"),
                format!(
                    "`{}` can be outside of `source`: the functions may read {folder} only, so begin with that",
                    path.text
                ),
            );
        }
        Some(Schedule { expression: part.schedule.clone(), path, time_zone })
    };
    parts.iter().enumerate().filter_map(read).collect()
}

/// How often the source is checked; this requires `source`.
pub(super) fn source_check(file: &File, problems: &mut Problems) -> Option<SourceCheck> {
    let part = file.source_check.as_ref()?;
    if given(file.source.as_ref()).is_none() {
        problems.add("source_check", "needs `source`: the folder that is compared with what was loaded");
    }
    problems.take("source_check.every", SourceCheck::parse(&part.every))
}

/// Where S3 Inventory lists the source, if a check shall read that.
pub(super) fn inventory(
    file: &File,
    check: Option<SourceCheck>,
    source: Option<&SourceFolder>,
    problems: &mut Problems,
) -> Option<SourceFolder> {
    let text = given(file.source_check.as_ref()?.inventory.as_ref())?;
    if let Some(check) = check {
        problems.take("source_check.every", check.check_inventory());
    }
    problems.take("source_check.inventory", parse_folder(text, &source?.bucket))
}

/// A table that is fed by another queue needs `source`, which says which of that queue's objects are its own.
pub(super) fn fed_by(file: &File, source: Option<&SourceFolder>, problems: &mut Problems) -> Option<String> {
    let name = given(file.queue.as_ref())?;
    if source.is_none() && file.source.is_none() {
        problems
            .add("queue", "needs `source`: the folder, inside that of the other queue, whose files this table loads");
    }
    Some(name.to_owned())
}

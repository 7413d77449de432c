//! Limits of the services that a whole template and its names respect. Limits of one property are beside its construct in [`crate::l2`].

/// Bytes of a template inside a request (`CloudFormation`, quotas: "Template body size in a request"). A larger one is passed as an object
/// in S3.
pub const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;
/// Bytes of a template in S3: 1 MB (`CloudFormation`, quotas: "Template body size in an object"). The page does not say which megabyte: the
/// smaller holds.
pub const TEMPLATE_OBJECT_BYTES_MAX: usize = 1_000_000;
/// Resources of one template (`CloudFormation`, quotas).
pub const RESOURCES_MAX: usize = 500;
/// Outputs of one template (`CloudFormation`, quotas).
pub const OUTPUTS_MAX: usize = 200;
/// Parameters of one template (`CloudFormation`, quotas).
pub const PARAMETERS_MAX: usize = 200;

/// Queues up to which each has a dead-letter queue, an alarm and a policy of its own: five resources. With more they share these, and a
/// queue has two resources. Our own bound: five times as many are 400 of [`RESOURCES_MAX`], which leaves room for the loader and for schedules.
pub const QUEUES_APART_MAX: usize = 80;

/// Characters of a function's name (Lambda, `CreateFunction`).
pub const FUNCTION_NAME_CHARACTERS_MAX: usize = 64;
/// Characters of a stack's name: every function is named after it, see [`crate::names::function_name`].
pub const STACK_NAME_CHARACTERS_MAX: usize = FUNCTION_NAME_CHARACTERS_MAX - "-MicrobatchLoader".len();

/// Characters of the first part of a statement's name: our own bound, far below the 2,048 of the whole name (Redshift Data API,
/// `ExecuteStatement`).
pub const STATEMENT_NAME_PREFIX_CHARACTERS_MAX: usize = 128;

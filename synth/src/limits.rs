//! Service limits of a whole template and its names. The limits of a single property are beside its construct in [`crate::l2`].

/// Bytes of a template inside a request (`CloudFormation`, quotas: "Template body size in a request"). A larger one must be an object in S3.
pub const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;
/// Bytes of a template in S3: 1 MB (`CloudFormation`, quotas: "Template body size in an object"). The page does not define the megabyte, so
/// this is the smaller one.
pub const TEMPLATE_OBJECT_BYTES_MAX: usize = 1_000_000;
/// Resources in a template (`CloudFormation`, quotas).
pub const RESOURCES_MAX: usize = 500;
/// Outputs in a template (`CloudFormation`, quotas).
pub const OUTPUTS_MAX: usize = 200;
/// Parameters in a template (`CloudFormation`, quotas).
pub const PARAMETERS_MAX: usize = 200;

/// Up to this many queues, each has its own dead-letter queue, alarm and policy: five resources. With more, the queues share these, and each
/// has only two resources. This is our own bound: 80 queues take 400 of [`RESOURCES_MAX`], which leaves room for the loader and for schedules.
pub const QUEUES_APART_MAX: usize = 80;

/// Characters of a function's name (Lambda, `CreateFunction`).
pub const FUNCTION_NAME_CHARACTERS_MAX: usize = 64;
/// Characters of a stack's name. The stack's name is part of every function's name, see [`crate::names::function_name`].
pub const STACK_NAME_CHARACTERS_MAX: usize = FUNCTION_NAME_CHARACTERS_MAX - "-MicrobatchLoader".len();

/// Characters of the first part of a statement name. This is our own bound, far below the 2,048 characters of a whole statement name
/// (Redshift Data API, `ExecuteStatement`).
pub const STATEMENT_NAME_PREFIX_CHARACTERS_MAX: usize = 128;

#!/usr/bin/env bash
# Deploys the loader; all arguments are those of `cargo xtask deploy`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo xtask deploy "$@"

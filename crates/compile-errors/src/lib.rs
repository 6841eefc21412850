//! What the compiler says of a user's mistakes: everything is in `tests/compile_fail`.

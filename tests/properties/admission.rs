//! Permits balance, a refusal is free, and a reload keeps what was owed.

mod gate;
mod honest;
mod law;
mod rate;

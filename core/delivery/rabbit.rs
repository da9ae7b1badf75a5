//! RabbitMQ.
/// x
pub struct Rabbit;
/// x
pub struct RabbitSettings;

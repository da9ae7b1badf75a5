//! Getting each event to each target once: policy, outbox, brokers, worker

//! Connectors against the sandbox: every connection is built of settings as an operator writes them, every far side is
//! the test's own sandbox on free ports, and every outcome is searched for secrets.

#[cfg(test)]
mod bank;
#[cfg(test)]
mod certify;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod esign;
#[cfg(test)]
mod fadada;
#[cfg(test)]
mod jiandaoyun;
#[cfg(test)]
mod kingdee;
#[cfg(test)]
mod kingdee_polls;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod mail;
mod masters;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod nuonuo;
#[cfg(test)]
mod nuonuo_reds;
#[cfg(test)]
mod robots;
#[cfg(test)]
mod webhook;
#[cfg(test)]
mod wrong;
#[cfg(test)]
mod wrong_masters;
#[cfg(test)]
mod yonyou_u8_documents;
#[cfg(test)]
mod yonyou_u8_eai;
#[cfg(test)]
mod yonyou_u8_openapi;
#[cfg(test)]
mod yonyou_u8_openapi_polls;
#[cfg(test)]
mod yonyou_u8_polls;

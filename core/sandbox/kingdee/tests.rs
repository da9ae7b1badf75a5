//! Kingdee over HTTP: sessions, status machine, saving, querying, receipts.

use serde_json::{Value, json};

use crate::{
    CustomField, Fault, KingdeeConfig, NumberStyle, Refusal, Rule, Sandbox, SandboxConfig, System,
    kingdee::{ReceiptLine, ReceiptSpec},
    tests::{Caller, d, order, service},
};

async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> (Sandbox, Caller) {
    let mut config = SandboxConfig::default();
    change(&mut config);
    let sandbox = Sandbox::start(config).await.unwrap();
    let caller = Caller::new(&sandbox).await;
    (sandbox, caller)
}

async fn start() -> (Sandbox, Caller) {
    start_with(|_| {}).await
}

fn message(status: &Value) -> &str {
    status["Errors"][0]["Message"].as_str().unwrap_or("")
}

#[tokio::test]
async fn logins_and_the_lock() {
    let (sandbox, caller) = start_with(|config| config.kingdee.login_reminder = "密码即将过期".into()).await;
    let KingdeeConfig { acct_id, user_name, app_id, app_secret, .. } = KingdeeConfig::default();
    let stamp = "1700000000";
    let sign = |sha1| super::auth::login_sign([&acct_id, &user_name, &app_id, &app_secret, stamp], sha1);
    for (operation, body) in [
        ("LoginByAppSecret", json!({"parameters": [acct_id, user_name, app_id, app_secret, 2052]})),
        (
            "LoginBySign",
            json!({"parameters": [acct_id, user_name, app_id, 1_700_000_000, sign(false), 2052]}),
        ),
        (
            "LoginBySign",
            json!({"acctID": acct_id, "username": user_name, "appId": app_id, "timestamp": stamp,
                               "sign": sign(true), "lcid": 2052}),
        ),
    ] {
        let response = caller.send(operation, &body).await.unwrap();
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies.len(), 2, "{operation}");
        let login: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(
            (&login["LoginResultType"], &login["Message"]),
            (&json!(1), &json!("密码即将过期")),
            "{operation}"
        );
    }
    let wrong = json!({"parameters": [acct_id, user_name, "wrong", 2052]});
    for _ in 0..5 {
        let login = caller.raw("ValidateUser", &wrong).await;
        assert_eq!((&login["LoginResultType"], &login["Message"]), (&json!(0), &json!("用户名或密码错误")));
        assert_eq!((&login["Context"], &login["KDSVCSessionId"]), (&Value::Null, &json!("")));
    }
    let right = json!({"parameters": [acct_id, user_name, "sandbox-password", 2052]});
    assert!(caller.raw("ValidateUser", &right).await["Message"].as_str().unwrap().contains("锁定"));
    let other = json!({"parameters": ["nowhere", user_name, "sandbox-password", 2052]});
    assert!(
        caller.raw("ValidateUser", &other).await["Message"].as_str().unwrap().contains("数据中心无法获取到")
    );
    sandbox.shutdown().await;
}

#[tokio::test]
async fn sessions_by_header_sid_or_cookie_end_when_idle() {
    let (sandbox, caller) = start().await;
    let body = json!({"formid": "SAL_SaleOrder", "data": {"Number": "none"}}).to_string();
    let ask = |name: &'static str, value: String| {
        let request = caller.http.post(format!("{}/{}", caller.base, service("View"))).header(name, value);
        let request = request.body(body.clone());
        async move {
            let answer: Value =
                serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
            answer["Result"]["ResponseStatus"]["MsgCode"].as_u64().unwrap()
        }
    };
    let sid = caller.session.clone();
    assert_eq!(ask("kdservice-sessionid", sid.clone()).await, 9);
    assert_eq!(ask("SID", sid.clone()).await, 9);
    assert_eq!(
        ask("Cookie", format!("Theme=standard;ASP.NET_SessionId=x; kdservice-sessionid={sid}")).await,
        9
    );
    assert_eq!(ask("X-Nothing", sid.clone()).await, 1);
    sandbox.advance_ms(1_200_001);
    assert_eq!(ask("SID", sid).await, 1);
    // Every operation answers a lost session in its own shape.
    let lost = caller.query("SAL_SaleOrder", "FBillNo", "").await;
    assert_eq!(lost[0][0]["Result"]["ResponseStatus"]["MsgCode"], 1);
    let data = json!({"data": {"FormId": "SAL_SaleOrder", "FieldKeys": "FBillNo"}});
    let lost = caller.raw("BillQuery", &data).await;
    assert_eq!(lost[0]["Result"]["ResponseStatus"]["Errors"][0]["Message"], "会话信息已丢失，请重新登录");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn bad_signatures_are_refused_as_set() {
    for (refusal, status, text) in [
        (Refusal::SessionLost, 200, "会话信息已丢失"),
        (Refusal::ResponseError, 200, "response_error:"),
        (Refusal::Gateway519, 519, "4002"),
    ] {
        let (sandbox, caller) = start_with(|config| config.kingdee.refusal = refusal).await;
        let response = caller
            .http
            .post(format!("{}/{}", caller.base, service("View")))
            .header("x-kd-appkey", "x")
            .header("x-kd-appdata", "x")
            .header("x-kd-signature", "x")
            .header("content-type", "applicatin/json")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status);
        assert!(response.text().await.unwrap().contains(text));
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn paths_methods_and_bodies() {
    let (sandbox, caller) = start().await;
    let post = |path: &str, body: &str| {
        caller
            .http
            .post(format!("{}{path}", caller.base))
            .header("kdservice-sessionid", &caller.session)
            .body(body.to_owned())
            .send()
    };
    let stub = "/K3Cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService";
    assert_eq!(post(&format!("{stub}.NoSuch.common.kdsvc"), "{}").await.unwrap().status(), 404);
    assert_eq!(post("/k3cloud/x", "{}").await.unwrap().status(), 404);
    let lower = post(
        &format!("{stub}.view.common.kdsvc"),
        r#"{"parameters":["SAL_SaleOrder","{\"Number\":\"N\"}"]}"#,
    );
    assert!(lower.await.unwrap().text().await.unwrap().contains("编码值[\\\"N\\\"]不存在"));
    let broken = post(&format!("{stub}.View.common.kdsvc"), "{broken").await.unwrap();
    assert!(broken.text().await.unwrap().starts_with("response_error:"));
    let empty = post(&format!("{stub}.View.common.kdsvc"), r#"{"formid":"SAL_SaleOrder"}"#).await.unwrap();
    assert!(empty.text().await.unwrap().contains("接口参数data不能为空"));
    let get = caller.http.get(format!("{}{stub}.View.common.kdsvc", caller.base)).send().await.unwrap();
    assert_eq!(get.status(), 405);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn status_machine() {
    let (sandbox, caller) = start().await;
    assert_eq!(caller.save("S1").await["IsSuccess"], true);
    let step = |operation: &'static str| caller.status(operation, json!({"Numbers": ["S1"]}));
    for (operation, ok, then) in [
        ("Audit", false, "A"),
        ("UnAudit", false, "A"),
        ("Submit", true, "B"),
        ("Submit", false, "B"),
        ("Delete", false, "B"),
        ("CancelAssign", true, "A"),
        ("Submit", true, "B"),
        ("Audit", true, "C"),
        ("Audit", false, "C"),
        ("Delete", false, "C"),
        ("UnAudit", true, "D"),
        ("Submit", true, "B"),
        ("CancelAssign", true, "D"),
    ] {
        assert_eq!(step(operation).await["IsSuccess"], ok, "{operation}");
        assert_eq!(sandbox.order("S1").unwrap().status, then, "after {operation}");
    }
    let id = sandbox.order("S1").unwrap().id;
    // Missing numbers are skipped without an error as long as one exists.
    let some = caller.status("Submit", json!({"Numbers": ["S1", "NOPE"]})).await;
    assert_eq!((&some["IsSuccess"], some["SuccessEntitys"].as_array().unwrap().len()), (&json!(true), 1));
    let none = caller.status("Submit", json!({"Numbers": ["NOPE"]})).await;
    assert_eq!((message(&none), &none["MsgCode"]), ("编码值[\"NOPE\"]不存在", &json!(9)));
    let done = caller.status("Audit", json!({"Ids": id.to_string()})).await;
    assert!(done["SuccessMessages"][0]["Message"].as_str().unwrap().contains("审核成功"));
    let again = caller.status("Audit", json!({"Ids": id.to_string()})).await;
    assert_eq!(message(&again), "单据编号为“S1”的销售订单，单据已经审核！");
    // A closed order can be neither un-audited nor pushed.
    let close = |number: &str| {
        let body = json!({"formid": "SAL_SaleOrder", "opNumber": number, "data": {"Numbers": ["S1"]}});
        let caller = &caller;
        async move { caller.raw("ExcuteOperation", &body).await }
    };
    assert_eq!(close("YLBillClose").await["Result"]["ResponseStatus"]["IsSuccess"], true);
    assert_eq!(step("UnAudit").await["IsSuccess"], false);
    assert_eq!(close("YLUnBillClose").await["Result"]["ResponseStatus"]["IsSuccess"], true);
    assert_eq!(step("UnAudit").await["IsSuccess"], true);
    assert_eq!(step("Delete").await["IsSuccess"], true);
    assert!(sandbox.order("S1").is_none());
    sandbox.shutdown().await;
}

#[tokio::test]
async fn saving_validates_and_computes() {
    let (sandbox, caller) = start_with(|config| {
        config.kingdee.custom_fields =
            vec![CustomField { form: "SAL_SaleOrder".into(), entity: None, key: "F_TB_Contract".into() }];
    })
    .await;
    // Several errors in one reply, header and entry texts, row number.
    let mut bad = order("V1");
    bad["FCustId"] = json!("CUST0001");
    bad["FSalerId"] = json!({"FNumber": "NOBODY"});
    bad["FSaleOrderEntry"][1].as_object_mut().unwrap().remove("FMaterialId");
    let status = caller.status("Save", json!({"Model": bad})).await;
    let texts: Vec<&str> =
        status["Errors"].as_array().unwrap().iter().map(|error| error["Message"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "字段“客户”是必填项",
            "字段“销售员”是必填项",
            "单据体实体【明细信息】第【2】行分录，【物料编码】字段必录"
        ]
    );
    assert_eq!((&status["MsgCode"], &status["ErrorCode"]), (&json!(11), &json!(500)));
    let mut unknown = order("V1");
    unknown["FCustId"] = json!({"FNumber": "NOBODY"});
    let status = caller.status("Save", json!({"IsVerifyBaseDataField": "true", "Model": unknown})).await;
    assert_eq!(
        (message(&status), &status["Errors"][0]["FieldName"]),
        ("编码值[\"NOBODY\"]不存在", &json!("FCustId"))
    );
    // A header wrapped in FBillHead vanishes.
    let wrapped = caller.status("Save", json!({"Model": {"FBillHead": order("V1")}})).await;
    assert!(wrapped["Errors"].as_array().unwrap().len() >= 5);
    // Unknown keys are dropped, custom ones kept; discount, free rows and tax-exclusive prices compute.
    let mut model = order("V2");
    model["F_TB_Contract"] = json!("HT-1");
    model["FNoSuchKey"] = json!(1);
    model["FSaleOrderEntry"][0]["FDiscountRate"] = json!(12.5);
    model["FSaleOrderEntry"][1]["FIsFree"] = json!(true);
    let net = json!({"FMaterialId": {"FNumber": "MAT0001"}, "FQty": 1, "FPrice": "0.50", "FEntryTaxRate": 1,
                     "FDeliveryDate": "2026-12-20"});
    model["FSaleOrderEntry"].as_array_mut().unwrap().push(net);
    assert_eq!(caller.status("Save", json!({"Model": model})).await["IsSuccess"], true);
    let saved = sandbox.order("V2").unwrap();
    // 339.00 less 12.5 % is 296.625, half-up 296.63; net 262.50; plus 0.50 net with 0.01 tax.
    assert_eq!((saved.gross, saved.net, saved.tax), (d("297.14"), d("263.00"), d("34.14")));
    assert_eq!(sandbox.bill("SAL_SaleOrder", "V2").unwrap()["fields"]["F_TB_CONTRACT"], "HT-1");
    // Without a number the server numbers, and a repeat makes a second bill.
    let mut unnumbered = order("");
    unnumbered.as_object_mut().unwrap().remove("FBillNo");
    for _ in 0..2 {
        caller.status("Save", json!({"Model": unnumbered})).await;
    }
    assert_eq!(sandbox.orders().len(), 3);
    let duplicate = caller.save("V2").await;
    assert_eq!(message(&duplicate), "违反字段唯一性要求：编码唯一。[V2]在当前系统中已经被使用。");
    assert_eq!(duplicate["Errors"][0]["FieldName"], "FBillNo");
    // Base data likewise.
    let customer = json!({"formid": "BD_Customer", "data": {"Model": {"FNumber": "CUST0001", "FName": "重复",
        "FCreateOrgId": {"FNumber": "100"}, "FTRADINGCURRID": {"FNumber": "PRE001"}}}});
    let duplicate = caller.raw("Save", &customer).await;
    assert_eq!(duplicate["Result"]["ResponseStatus"]["Errors"][0]["FieldName"], "FNumber");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn updates_keep_or_delete_rows() {
    let (sandbox, caller) = start().await;
    caller.save("U1").await;
    let id = sandbox.order("U1").unwrap().id;
    let entries = caller.query("SAL_SaleOrder", "FSaleOrderEntry_FEntryID", "FBillNo='U1'").await;
    let first = entries[0][0].clone();
    let row = |quantity: i64| json!({"FMaterialId": {"FNumber": "MAT0001"}, "FQty": quantity, "FTaxPrice": 1, "FDeliveryDate": "2026-12-20"});
    // Rows without their id are appended when nothing may be deleted.
    let appended = json!({"IsDeleteEntry": "false", "Model": {"FID": id, "FSaleOrderEntry": [row(5)]}});
    assert_eq!(caller.status("Save", appended).await["IsSuccess"], true);
    assert_eq!(sandbox.order("U1").unwrap().lines, 3);
    // By default rows not named go away; the named one changes.
    let mut change = json!({"FEntryID": first, "FQty": 2});
    change["FTaxPrice"] = json!(10);
    let named = json!({"Model": {"FID": id, "FSaleOrderEntry": [change]}});
    assert_eq!(caller.status("Save", named).await["IsSuccess"], true);
    let after = sandbox.order("U1").unwrap();
    assert_eq!((after.lines, after.gross, after.customer.as_str()), (1, d("20.00"), "CUST0001"));
    // Keys not listed in NeedUpDateFields are dropped.
    let listed = json!({"NeedUpDateFields": ["FNote"], "Model": {"FID": id, "FNote": "neu",
                        "FCustId": {"FNumber": "CUST0002"}, "FSaleOrderEntry": [row(9)]}});
    assert_eq!(caller.status("Save", listed).await["IsSuccess"], true);
    let after = sandbox.order("U1").unwrap();
    assert_eq!((after.note.as_str(), after.customer.as_str(), after.lines), ("neu", "CUST0001", 1));
    // Bills in review and audited ones cannot be saved.
    caller.status("Submit", json!({"Numbers": ["U1"]})).await;
    assert_eq!(caller.status("Save", json!({"Model": {"FID": id, "FNote": "x"}})).await["IsSuccess"], false);
    assert_eq!(caller.status("Save", json!({"Model": {"FID": 1, "FNote": "x"}})).await["MsgCode"], 9);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn queries_page_expand_and_order() {
    let (sandbox, caller) = start_with(|config| config.kingdee.max_limit = 4).await;
    for number in ["Q1", "Q2", "Q3"] {
        caller.save(number).await;
    }
    let page = |start: usize, limit: usize, top: usize, order: &str| {
        let data = json!({"FormId": "SAL_SaleOrder", "FieldKeys": "FBillNo,FSaleOrderEntry_FSeq,FAllAmount",
            "FilterString": "FBillNo like 'Q%'", "OrderString": order, "StartRow": start, "Limit": limit,
            "TopRowCount": top});
        let caller = &caller;
        async move {
            let rows = caller.raw("ExecuteBillQuery", &json!({"data": data})).await;
            rows.as_array()
                .unwrap()
                .iter()
                .map(|row| format!("{}.{}", row[0].as_str().unwrap(), row[1]))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(page(0, 3, 0, "FID asc").await, ["Q1.1", "Q1.2", "Q2.1"]);
    assert_eq!(page(3, 3, 0, "").await, ["Q2.2", "Q3.1", "Q3.2"]);
    assert_eq!(page(3, 3, 4, "").await, ["Q2.2"], "TopRowCount is the end of the whole result");
    assert_eq!(page(6, 3, 0, "").await, Vec::<String>::new());
    assert_eq!(page(0, 100, 0, "FBillNo desc, FSaleOrderEntry_FSeq").await, ["Q3.1", "Q3.2", "Q2.1", "Q2.2"]);
    let rows = caller
        .query(
            "SAL_SaleOrder",
            "FID,FCustId,FCustId.FName,FDate,FBillAllAmount,FQty",
            "FBillNo in ('Q2') and FQty>=3",
        )
        .await;
    assert_eq!(rows[0][2], "示例客户");
    assert_eq!(rows[0][3], "2026-11-20T00:00:00");
    assert_eq!((rows[0][4].to_string(), rows[0][5].to_string()), ("439.0".to_owned(), "3.0".to_owned()));
    assert!(rows[0][1].is_i64() && rows.as_array().unwrap().len() == 1);
    let error = caller.query("NO_SUCH_FORM", "FID", "").await;
    assert!(
        error[0][0]["Result"]["ResponseStatus"]["Errors"][0]["Message"]
            .as_str()
            .unwrap()
            .contains("业务对象不存在")
    );
    let error = caller.query("SAL_SaleOrder", "FID", "FBillNo=").await;
    assert!(error.to_string().contains("当前查询串无法解析"));
    sandbox.hide("SAL_SaleOrder", "Q2", true);
    assert_eq!(caller.query("SAL_SaleOrder", "FBillNo", "FBillNo='Q2'").await, json!([]));
    let data = json!({"data": {"FormId": "BD_Currency", "FieldKeys": "FNumber,FCODE", "FilterString": "FNUMBER='PRE001'"}});
    assert_eq!(caller.raw("BillQuery", &data).await, json!([{"FNumber": "PRE001", "FCODE": "CNY"}]));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn numbers_print_as_set() {
    let (sandbox, caller) = start_with(|config| {
        config.kingdee.numbers = NumberStyle::Padded;
        config.kingdee.ids_as_strings = true;
    })
    .await;
    caller.save("N1").await;
    let rows = caller.query("SAL_SaleOrder", "FID,FQty,FTaxPrice,FAllAmount", "FBillNo='N1'").await;
    assert!(rows[0][0].is_string());
    assert_eq!(rows[0][1].to_string(), "3.0000000000");
    assert_eq!(rows[0][3].to_string(), "339.0");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn far_side_faults() {
    let (sandbox, caller) = start().await;
    let once = |operation: &str, fault: Fault| {
        sandbox.fault(Rule::new(fault).on(System::Kingdee, operation).times(1))
    };
    once("Save", Fault::EditLock);
    assert_eq!(caller.save("F1").await["MsgCode"], 0);
    once("Save", Fault::Throttled { retry_after: None });
    assert_eq!(caller.save("F1").await["MsgCode"], 14);
    once("Save", Fault::NoPermission);
    assert_eq!(caller.save("F1").await["MsgCode"], 2);
    once("Save", Fault::WebApiForbidden);
    assert_eq!(message(&caller.save("F1").await), "当前用户未指定允许调用WebAPI接口");
    assert!(sandbox.order("F1").is_none());
    once("Save", Fault::DuplicateAccepted);
    let duplicate = caller.save("F1").await;
    assert!(message(&duplicate).contains("编码唯一") && sandbox.order("F1").is_some());
    caller.status("Submit", json!({"Numbers": ["F1"]})).await;
    once("Audit", Fault::AuditFails { message: String::new() });
    let audit = || caller.status("Audit", json!({"Numbers": ["F1"]}));
    assert!(message(&audit().await).contains("信用额度"));
    once("Audit", Fault::AuditPending);
    assert_eq!(audit().await["IsSuccess"], true);
    assert_eq!(sandbox.order("F1").unwrap().status, "B");
    assert_eq!(audit().await["IsSuccess"], true);
    assert_eq!(sandbox.order("F1").unwrap().status, "C");
    once("View", Fault::SessionDropped);
    let view = || caller.status("View", json!({"Number": "F1"}));
    assert_eq!(view().await["MsgCode"], 1);
    assert_eq!(view().await["MsgCode"], 1, "the session stays lost");
    let caller = Caller::new(&sandbox).await;
    assert_eq!(caller.status("View", json!({"Number": "F1"})).await["IsSuccess"], true);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn asynchronous_batches() {
    let (sandbox, caller) = start().await;
    let begin = |number: &str| {
        json!({"formid": "SAL_SaleOrder", "data": {"Model": [order(number)]}, "beginmethod": "BeginQueryImpl",
               "querymethod": "QueryAsyncResult"})
    };
    let poll = |task: &Value| {
        let info = json!({"TaskId": task["TaskId"], "Cancelled": false}).to_string();
        let caller = &caller;
        async move { caller.raw("QueryAsyncResult", &json!({"queryInfo": info})).await }
    };
    let task = caller.raw("BatchSave", &begin("A1")).await;
    assert_eq!(task["Status"], 0);
    let done = poll(&task).await;
    assert_eq!(
        (&done["Status"], &done["Result"]["Result"]["ResponseStatus"]["IsSuccess"]),
        (&json!(2), &json!(true))
    );
    sandbox.fault(Rule::new(Fault::TaskNeverEnds).on(System::Kingdee, "BatchSave").key("A2"));
    sandbox.fault(Rule::new(Fault::TaskLost).on(System::Kingdee, "BatchSave").key("A3"));
    let task = caller.raw("BatchSave", &begin("A2")).await;
    for _ in 0..5 {
        assert_eq!(poll(&task).await["Status"], 1);
    }
    let task = caller.raw("BatchSave", &begin("A3")).await;
    assert_eq!(poll(&task).await["Result"]["ResponseStatus"]["IsSuccess"], false);
    assert_eq!(sandbox.orders().len(), 3, "all three are committed");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn receipts_come_change_and_go() {
    let (sandbox, caller) = start_with(|config| config.fixed_clock_ms = Some(1_795_000_000_000)).await;
    caller.audited("O1").await;
    caller.audited("O2").await;
    caller.save("O3").await;
    assert!(sandbox.pay("O3", d("1"), "R0").unwrap_err().contains("not audited"));
    sandbox.pay("O1", d("100.00"), "R1").unwrap();
    assert!(sandbox.pay("O1", d("1"), "R1").is_err());
    sandbox.advance_ms(60_000);
    let line = |order: &str, amount: &str, fee: &str| ReceiptLine {
        order_number: order.into(),
        amount: d(amount),
        fee: d(fee),
    };
    let spec = ReceiptSpec {
        number: "R2".into(),
        customer: None,
        currency: Some("PRE007".into()),
        lines: vec![line("O1", "339.00", "5.00"), line("O2", "-1.50", "0")],
        approved_ms: Some(sandbox.now_ms() - 30_000),
        date_ms: None,
        unaudited: false,
        third_number: Some("BANK-7".into()),
    };
    sandbox.book_receipt(&spec).unwrap();
    let keys = "FBillNo,FDOCUMENTSTATUS,FCancelStatus,FCONTACTUNIT.FNumber,FCURRENCYID.FNumber,FRECAMOUNTFOR,\
                FREALRECAMOUNTFOR,FTHIRDBILLNO,FApproveDate,FSALEORDERNO,FRECTOTALAMOUNTFOR";
    let rows = caller.query("AR_RECEIVEBILL", keys, "FDOCUMENTSTATUS='C' and FSALEORDERNO='O1'").await;
    assert_eq!(
        rows.to_string(),
        "[[\"R1\",\"C\",\"A\",\"CUST0001\",\"PRE001\",100.0,100.0,\"\",\"2026-11-18T19:06:40\",\"O1\",100.0],\
         [\"R2\",\"C\",\"A\",\"CUST0001\",\"PRE007\",337.5,332.5,\"BANK-7\",\"2026-11-18T19:07:10\",\"O1\",339.0]]"
    );
    sandbox.change_receipt("R1", d("90.00")).unwrap();
    sandbox.unaudit_receipt("R2").unwrap();
    let rows = caller.query(
        "AR_RECEIVEBILL",
        "FBillNo,FRECAMOUNTFOR,FApproveDate",
        "FModifyDate>='2026-11-18 19:07:40'",
    );
    assert_eq!(rows.await.to_string(), "[[\"R1\",90.0,\"2026-11-18T19:07:40\"],[\"R2\",337.5,null]]");
    sandbox.audit_receipt("R2").unwrap();
    sandbox.void_receipt("R1").unwrap();
    sandbox.delete_receipt("R2").unwrap();
    assert!(sandbox.delete_receipt("R2").is_err());
    let rows = caller.query("AR_RECEIVEBILL", "FBillNo,FCancelStatus", "").await;
    assert_eq!(rows, json!([["R1", "B"]]));
    sandbox.refund("O1", d("20.00"), "TK1").unwrap();
    let rows = caller.query("AR_REFUNDBILL", "FBillNo,FREFUNDTOTALAMOUNTFOR,FSALEORDERNO", "").await;
    assert_eq!(rows.to_string(), "[[\"TK1\",20.0,\"O1\"]]");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn base_data_goes_through_review_before_it_can_be_used() {
    let (sandbox, caller) = start().await;
    let form = |operation: &'static str, data: Value| {
        let caller = &caller;
        async move {
            caller.raw(operation, &json!({"formid": "BD_Customer", "data": data})).await["Result"]["ResponseStatus"].take()
        }
    };
    let model = json!({"FNumber": "NEW1", "FName": "新客户", "FCreateOrgId": {"FNumber": "100"},
                       "FTRADINGCURRID": {"FNumber": "PRE001"}});
    assert_eq!(form("Save", json!({"Model": model})).await["IsSuccess"], true);
    let mut with_new = order("B1");
    with_new["FCustId"] = json!({"FNumber": "NEW1"});
    assert_eq!(message(&caller.status("Save", json!({"Model": with_new})).await), "字段“客户”是必填项");
    form("Submit", json!({"Numbers": ["NEW1"]})).await;
    form("Audit", json!({"Numbers": ["NEW1"]})).await;
    assert_eq!(caller.status("Save", json!({"Model": with_new})).await["IsSuccess"], true);
    let forbid = json!({"formid": "BD_Customer", "opNumber": "Forbid", "data": {"Numbers": "NEW1"}});
    assert_eq!(caller.raw("ExcuteOperation", &forbid).await["Result"]["ResponseStatus"]["IsSuccess"], true);
    with_new["FBillNo"] = json!("B2");
    assert_eq!(caller.status("Save", json!({"Model": with_new})).await["IsSuccess"], false);
    // Forms without a description are stored as they come.
    let expense = json!({"formid": "ER_ExpReimbursement", "data": {"Model": {"FBillNo": "E1", "FCausa": "差旅",
                         "FEntity": [{"FExpenseAmount": 12.30}]}}});
    assert_eq!(caller.raw("Save", &expense).await["Result"]["Number"], "E1");
    let rows = caller.query("ER_ExpReimbursement", "FBillNo,FCausa,FExpenseAmount", "FBillNo='E1'").await;
    assert_eq!(rows.to_string(), "[[\"E1\",\"差旅\",12.3]]");
    sandbox.shutdown().await;
}

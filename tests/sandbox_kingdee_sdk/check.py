"""Drives the Kingdee sandbox with the vendor's own, unmodified Python SDK.

    python check.py http://127.0.0.1:PORT [--acct ..] [--app-id ..] [--app-secret ..] [--user ..] [--chinese-user ..]

Exits 0 when every check holds. Needs `pip install -r requirements.txt`; knows nothing of Tongbao.
"""

import argparse
import json
import sys
import uuid
from decimal import Decimal

from k3cloud_webapi_sdk.main import K3CloudApiSdk

FIELDS = "FID,FBillNo,FDate,FDocumentStatus,FCustId.FNumber,FBillAllAmount,FSaleOrderEntry_FEntryID,FQty,FAllAmount"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--acct", default="64f0c0ffee0001")
    parser.add_argument("--app-id", default="210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")
    parser.add_argument("--app-secret", default="0123456789abcdef0123456789abcdef")
    parser.add_argument("--user", default="integration")
    parser.add_argument("--chinese-user", default="集成用户")
    return parser.parse_args()


def client(args, user, org=0, secret=None, slash=True):
    base = args.url.rstrip("/") + ("/k3cloud/" if slash else "/k3cloud")
    sdk = K3CloudApiSdk(base)
    sdk.InitConfig(args.acct, user, args.app_id, secret or args.app_secret, base, 2052, org)
    return sdk


def parsed(text):
    return json.loads(text, parse_float=Decimal)


def status(text):
    return parsed(text)["Result"]["ResponseStatus"]


def order(number, lines=1, **changes):
    line = {
        "FMaterialId": {"FNumber": "MAT0001"},
        "FUnitID": {"FNumber": "Pcs"},
        "FQty": 3,
        "FTaxPrice": 113.00,
        "FEntryTaxRate": 13,
        "FDeliveryDate": "2026-12-20",
    }
    model = {
        "FID": 0,
        "FBillTypeID": {"FNUMBER": "XSDD01_SYS"},
        "FBillNo": number,
        "FDate": "2026-11-20",
        "FSaleOrgId": {"FNumber": "100"},
        "FCustId": {"FNumber": "CUST0001"},
        "FSalerId": {"FNumber": "SP0001"},
        "FNote": "合同 " + number,
        "FSaleOrderFinance": {"FSettleCurrId": {"FNumber": "PRE001"}, "FIsIncludedTax": True},
        "FSaleOrderEntry": [dict(line) for _ in range(lines)],
    }
    model.update(changes)
    return model


def query(sdk, number, keys=FIELDS):
    data = {"FormId": "SAL_SaleOrder", "FieldKeys": keys, "FilterString": f"FBillNo='{number}'",
            "OrderString": "FID asc", "StartRow": 0, "Limit": 100, "TopRowCount": 0, "SubSystemId": ""}
    return parsed(sdk.ExecuteBillQuery(data))


def check_life_cycle(sdk, number):
    assert query(sdk, number) == [], "not there yet"
    saved = parsed(sdk.Save("SAL_SaleOrder", {"NeedReturnFields": ["FBillNo"], "IsVerifyBaseDataField": True,
                                              "Model": order(number, lines=2)}))["Result"]
    assert saved["ResponseStatus"]["IsSuccess"] is True, saved
    assert "ErrorCode" not in saved["ResponseStatus"]
    assert saved["Number"] == number and isinstance(saved["Id"], int)
    assert saved["NeedReturnData"] == [{"FBillNo": number}]

    again = status(sdk.Save("SAL_SaleOrder", {"Model": order(number)}))
    assert again["IsSuccess"] is False and again["MsgCode"] == 11 and again["ErrorCode"] == 500, again
    assert again["Errors"][0]["FieldName"] == "FBillNo" and "编码唯一" in again["Errors"][0]["Message"]

    rows = query(sdk, number)
    assert len(rows) == 2, rows
    assert rows[0][:5] == [saved["Id"], number, "2026-11-20T00:00:00", "A", "CUST0001"], rows
    assert [row[5] for row in rows] == [Decimal("678.0")] * 2 and rows[0][8] == Decimal("339.0")
    assert rows[0][6] != rows[1][6]

    early = status(sdk.Audit("SAL_SaleOrder", {"Numbers": [number]}))
    assert early["IsSuccess"] is False, early
    assert status(sdk.Submit("SAL_SaleOrder", {"Numbers": [number]}))["IsSuccess"] is True
    audited = status(sdk.Audit("SAL_SaleOrder", {"Numbers": [number]}))
    assert audited["IsSuccess"] is True and audited["SuccessEntitys"][0]["Number"] == number, audited
    twice = status(sdk.Audit("SAL_SaleOrder", {"Ids": str(saved["Id"])}))
    assert "已经审核" in twice["Errors"][0]["Message"] and twice["MsgCode"] == 11, twice
    assert status(sdk.Delete("SAL_SaleOrder", {"Numbers": [number]}))["IsSuccess"] is False

    view = parsed(sdk.View("SAL_SaleOrder", {"Number": number}))["Result"]["Result"]
    assert view["BillNo"] == number and view["DocumentStatus"] == "C" and view["Note"] == "合同 " + number
    assert view["CustId"]["Number"] == "CUST0001" and view["CustId_Id"] == view["CustId"]["Id"]
    assert view["CustId"]["Name"][0]["Key"] == 2052
    assert view["SaleOrderFinance"][0]["BillAllAmount"] == Decimal("678.0")
    assert [row["Seq"] for row in view["SaleOrderEntry"]] == [1, 2]
    assert view["SaleOrderEntry"][0]["MaterialId"]["Number"] == "MAT0001"
    missing = status(sdk.View("SAL_SaleOrder", {"Number": "NO-" + number}))
    assert missing["IsSuccess"] is False and missing["MsgCode"] == 9, missing


def check_push(sdk, number):
    refused = status(sdk.Push("SAL_SaleOrder", {"Numbers": [number], "TargetFormId": "AR_receivable"}))
    assert "RuleId" in refused["Errors"][0]["Message"], refused
    data = {"Numbers": [number], "TargetFormId": "AR_receivable", "IsEnableDefaultRule": "true"}
    pushed = parsed(sdk.Push("SAL_SaleOrder", data))["Result"]
    assert pushed["ResponseStatus"]["IsSuccess"] and pushed["ConvertResponseStatus"]["IsSuccess"], pushed
    receivable = pushed["ResponseStatus"]["SuccessEntitys"][0]["Number"]
    rows = parsed(sdk.BillQuery({"FormId": "AR_receivable", "FieldKeys": "FBillNo,FALLAMOUNTFOR,FCUSTOMERID.FNumber",
                                 "FilterString": f"FBillNo='{receivable}'"}))
    assert rows == [{"FBillNo": receivable, "FALLAMOUNTFOR": Decimal("678.0"), "FCUSTOMERID.FNumber": "CUST0001"}], rows
    assert "关联数量" in status(sdk.Push("SAL_SaleOrder", data))["Errors"][0]["Message"]


def check_batch(sdk, number):
    models = [order(number + "-1"), order(number + "-2", FCustId={"FNumber": "NOBODY"}), order(number + "-3")]
    mixed = status(sdk.BatchSave("SAL_SaleOrder", {"Model": models}))
    assert mixed["IsSuccess"] is False
    assert [one["DIndex"] for one in mixed["SuccessEntitys"]] == [0, 2], mixed
    assert mixed["Errors"][0]["DIndex"] == 1 and mixed["Errors"][0]["Message"] == "字段“客户”是必填项", mixed
    assert len(query(sdk, number + "-3")) == 1 and query(sdk, number + "-2") == []
    answer = parsed(sdk.BatchSaveQuery("SAL_SaleOrder", {"Model": [order(number + "-4")]}))
    assert answer["Result"]["ResponseStatus"]["IsSuccess"] is True, answer


def check_others(sdk, number):
    error = query(sdk, number, "FNoSuchField")
    assert error[0][0]["Result"]["ResponseStatus"]["MsgCode"] == 9, error
    currency = parsed(sdk.ExecuteBillQuery({"FormId": "BD_Currency", "FieldKeys": "FCODE",
                                            "FilterString": "FNUMBER='PRE001'"}))
    assert currency == [["CNY"]], currency
    assert parsed(sdk.GetDataCenters())[0]["Id"]
    info = parsed(sdk.QueryBusinessInfo({"FormId": "SAL_SaleOrder"}))["Result"]["NeedReturnData"]
    assert any(one["EntryName"] == "SaleOrderEntry" for one in info["Entrys"]), info
    assert status(sdk.Draft("SAL_SaleOrder", {"Model": {"FNote": "暂存"}}))["IsSuccess"] is True
    closed = status(sdk.ExcuteOperation("SAL_SaleOrder", "YLBillClose", {"Numbers": [number]}))
    assert closed["IsSuccess"] is True, closed
    assert status(sdk.UnAudit("SAL_SaleOrder", {"Numbers": [number]}))["IsSuccess"] is False


def main():
    args = arguments()
    base = "PY-" + uuid.uuid4().hex[:8]
    sdk = client(args, args.user)
    check_life_cycle(sdk, base)
    check_push(sdk, base)
    check_batch(sdk, base)
    check_others(sdk, base)
    # A Chinese user name, an organisation number and a base without trailing slash.
    chinese = client(args, args.chinese_user, org=100, slash=False)
    check_life_cycle(chinese, base + "-ZH")
    # A wrong secret is refused with the session-lost object, not with an HTTP error.
    wrong = client(args, args.user, secret="f" * 32)
    lost = status(wrong.View("SAL_SaleOrder", {"Number": base}))
    assert lost["MsgCode"] == 1 and "会话信息已丢失" in lost["Errors"][0]["Message"], lost
    sys.stdout.write("ok\n")


if __name__ == "__main__":
    main()

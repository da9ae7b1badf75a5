//! The forms the stand-in knows in detail, as a small text table.
//!
//! Keys, casing and required marks follow the vendor's per-form operation descriptions (openapi.open.kingdee.com
//! ApiDoc and the 7.5.1800.6 documents). Labels are the names the product shows in validation messages.
//!
//! One line per level: `form <id> <primary key> <number key> <label>`, `head ...`, `object <entity> ...` (one row, its
//! fields count as header fields in queries), `rows <entity> <label> ...`, `sub <entity> ...` (rows below the rows of
//! the entity before it). A field is `key:kind`, with `*` when required and `=label` when the label is known. Kinds: `t`
//! text, `i` integer, `b` flag, `d` date, `m` amount, `q` quantity or price, `e` enumeration, or the form a base-data
//! field refers to.
//!
//! `STK_Inventory` is as public clients query it: its id `FID` is a text, and a material has a row for each warehouse, lot and
//! owner.

pub(super) const FORMS: &str = "
form SAL_SaleOrder FID FBillNo 销售订单
head FBillTypeID:BOS_BillType*=单据类型 FDate:d*=日期 FSaleOrgId:ORG_Organizations*=销售组织 FCustId:BD_Customer*=客户 FSalerId:BD_Saler*=销售员 FSaleDeptId:BD_Department FSaleGroupId:BD_OPERATORGROUP FReceiveId:BD_Customer FSettleId:BD_Customer FChargeId:BD_Customer FReceiveContact:BD_CommonContact FNote:t FNetOrderBillNo:t FISINIT:b FIsMobile:b FDocumentStatus:e FCloseStatus:e FCancelStatus:e FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
object FSaleOrderFinance FSettleCurrId:BD_Currency*=结算币别 FRecConditionId:BD_RecCondition FSettleModeId:BD_SETTLETYPE FIsPriceExcludeTax:b FIsIncludedTax:b FPriceListId:BD_SAL_PriceList FDiscountListId:BD_SAL_DiscountList FExchangeTypeId:BD_RateType FExchangeRate:q FBillAmount:m FBillTaxAmount:m FBillAllAmount:m
rows FSaleOrderEntry 明细信息 FRowType:e FMaterialId:BD_MATERIAL*=物料编码 FUnitID:BD_UNIT*=销售单位 FQty:q FPriceUnitId:BD_UNIT*=计价单位 FPrice:q FTaxPrice:q FEntryTaxRate:q FDiscountRate:q FAmount:m FTaxAmount:m FAllAmount:m FDeliveryDate:d*=要货日期 FSettleOrgIds:ORG_Organizations*=结算组织 FStockOrgId:ORG_Organizations FSupplyOrgId:ORG_Organizations FOwnerTypeId:e FOwnerId:ORG_Organizations FReserveType:e*=预留类型 FStockUnitID:BD_UNIT*=库存单位 FStockQty:q FStockBaseQty:q FPriceBaseQty:q FOUTLMTUNIT:e*=超发控制单位类型 FOutLmtUnitID:BD_UNIT FIsFree:b FEntryNote:t FSrcType:t FSrcBillNo:t FMRPCLOSESTATUS:e FMRPFREEZESTATUS:e FMRPTERMINATESTATUS:e
sub FOrderEntryPlan FPlanDate:d FPlanQty:q
sub FSaleOrderEntry_Link FSaleOrderEntry_Link_FRuleId:t FSaleOrderEntry_Link_FSTableName:t FSaleOrderEntry_Link_FSBillId:t FSaleOrderEntry_Link_FSId:t
rows FSaleOrderPlan 收款计划 FNeedRecAdvance:b FReceiveType:e FRecAdvanceRate:q FRecAdvanceAmount:m FMustDate:d FRelBillNo:t FRecAmount:m FControlSend:e FPlanMaterialId:BD_MATERIAL FMaterialSeq:i FOrderEntryId:i FIsOutStockByRecamount:b

form AR_RECEIVEBILL FID FBillNo 收款单
head FBillTypeID:BOS_BillType*=单据类型 FDATE:d*=业务日期 FDOCUMENTSTATUS:e FCancelStatus:e FCONTACTUNITTYPE:e*=往来单位类型 FCONTACTUNIT:BD_Customer*=往来单位 FPAYUNITTYPE:e*=付款单位类型 FPAYUNIT:BD_Customer*=付款单位 FCURRENCYID:BD_Currency*=币别 FSETTLECUR:BD_Currency*=结算币别 FSETTLEMAINBOOKID:BD_Currency*=结算本位币 FEXCHANGETYPE:BD_RateType FEXCHANGERATE:q FSETTLERATE:q FSETTLEORGID:ORG_Organizations FSALEORGID:ORG_Organizations FSALEDEPTID:BD_Department FSALEERID:BD_Saler FPAYORGID:ORG_Organizations*=收款组织 FBUSINESSTYPE:e*=业务类型 FRECAMOUNTFOR:m FRECEIVEAMOUNTFOR_H:m FREALRECAMOUNTFOR:m FWRITTENOFFSTATUS:e FTHIRDBILLNO:t FKDPAYNO:t FSOURCESYSTEM:t FREMARK:t FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
rows FRECEIVEBILLENTRY 收款单明细 FSETTLETYPEID:BD_SETTLETYPE*=结算方式 FPURPOSEID:CN_RECPAYPURPOSE*=收款用途 FRECTOTALAMOUNTFOR:m FRECAMOUNTFOR_E:m FRECAMOUNT_E:m FSETTLERECAMOUNTFOR:m FSETTLEDISTAMOUNTFOR:m FHANDLINGCHARGEFOR:m FOVERUNDERAMOUNTFOR:m FREALRECAMOUNTFOR_D:m FACCOUNTID:CN_BANKACNT FOPPOSITEBANKACCOUNT:t FOPPOSITECCOUNTNAME:t FOPPOSITEBANKNAME:t FSETTLENO:t FCOMMENT:t FPOSTDATE:d*=登账日期 FRECEIVEITEMTYPE:e FRECEIVEITEM:t FSaleOrderID:i FSALEORDERNO:t FMATERIALID:BD_MATERIAL FMATERIALSEQ:i FORDERENTRYID:i FWRITTENOFFSTATUS_D:e FWRITTENOFFAMOUNTFOR_D:m FISPOST:b
sub FASSSALESORDER FASSBILLNO:t FASSBILLID:i FASSAMOUNTFOR:m
rows FRECEIVEBILLSRCENTRY 源单明细 FSRCBILLTYPEID:t FSRCBILLNO:t FSRCBILLID:i FSRCROWID:i FSRCSEQ:i FAFTTAXTOTALAMOUNT:m FPLANRECAMOUNT:m FREALRECAMOUNT:m FREALRECAMOUNTFOR_S:m FEXPIRY:d FSRCCURRENCYID:BD_Currency FORDERBILLNO:t FSRCMATERIALID:BD_MATERIAL FSRCORDERENTRYID:i
sub FRECEIVEBILLSRCENTRY_Link FRECEIVEBILLSRCENTRY_Link_FRuleId:t FRECEIVEBILLSRCENTRY_Link_FSTableName:t FRECEIVEBILLSRCENTRY_Link_FSBillId:t FRECEIVEBILLSRCENTRY_Link_FSId:t FRECEIVEBILLSRCENTRY_Link_FREALRECAMOUNTOLD:m FRECEIVEBILLSRCENTRY_Link_FREALRECAMOUNT:m

form AR_REFUNDBILL FID FBillNo 收款退款单
head FBillTypeID:BOS_BillType*=单据类型 FDATE:d*=业务日期 FDOCUMENTSTATUS:e FCancelStatus:e FCONTACTUNITTYPE:e FCONTACTUNIT:BD_Customer*=往来单位 FRECTUNITTYPE:e FRECTUNIT:BD_Customer FCURRENCYID:BD_Currency FSETTLEORGID:ORG_Organizations FREFUNDTOTALAMOUNTFOR:m FREALREFUNDAMOUNTFOR:m FREMARK:t FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
rows FREFUNDBILLENTRY 收款退款单明细 FSETTLETYPEID:BD_SETTLETYPE FPURPOSEID:CN_RECPAYPURPOSE FREFUNDAMOUNTFOR:m FREFUNDAMOUNTFOR_E:m FSALEORDERNO:t FSRCBILLNO:t FNOTE:t FPOSTDATE:d

form AR_receivable FID FBillNo 应收单
head FBillTypeID:BOS_BillType*=单据类型 FDATE:d*=业务日期 FENDDATE_H:d*=到期日 FDOCUMENTSTATUS:e FCancelStatus:e FCUSTOMERID:BD_Customer*=客户 FCURRENCYID:BD_Currency*=币别 FSETTLEORGID:ORG_Organizations*=结算组织 FPAYORGID:ORG_Organizations*=收款组织 FSALEORGID:ORG_Organizations FSALEDEPTID:BD_Department FSALEERID:BD_Saler FPayConditon:BD_RecCondition FISPRICEEXCLUDETAX:b FISTAX:b FBUSINESSTYPE:e FSetAccountType:e FALLAMOUNTFOR:m FRECEIVEAMOUNT:m FNORECEIVEAMOUNT:m FOPENAMOUNTFOR:m FNOINVOICEAMOUNT:m FAR_Remark:t FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
object FsubHeadFinc FMAINBOOKSTDCURRID:BD_Currency FEXCHANGETYPE:BD_RateType FExchangeRate:q FACCNTTIMEJUDGETIME:d FSettleTypeID:BD_SETTLETYPE FTaxAmountFor:m FNoTaxAmountFor:m
object FsubHeadSuppiler FORDERID:BD_Customer FTRANSFERID:BD_Customer FChargeId:BD_Customer
rows FEntityDetail 明细 FMATERIALID:BD_MATERIAL FPRICEUNITID:BD_UNIT FPriceQty:q FPrice:q FTaxPrice:q FEntryTaxRate:q FEntryDiscountRate:q FNoTaxAmountFor_D:m FTAXAMOUNTFOR_D:m FALLAMOUNTFOR_D:m FSOURCETYPE:t FSourceBillNo:t FORDERNUMBER:t
sub FEntityDetail_Link FEntityDetail_Link_FRuleId:t FEntityDetail_Link_FSTableName:t FEntityDetail_Link_FSBillId:t FEntityDetail_Link_FSId:t
rows FEntityPlan 收款计划 FENDDATE:d FPAYRATE:q FPAYAMOUNTFOR:m

form BD_Customer FCUSTID FNumber 客户
head FName:t*=客户名称 FCreateOrgId:ORG_Organizations*=创建组织 FUseOrgId:ORG_Organizations FTRADINGCURRID:BD_Currency*=结算币别 FShortName:t FADDRESS:t FTEL:t FINVOICETITLE:t FTAXREGISTERCODE:t FSOCIALCRECODE:t FINVOICEBANKNAME:t FINVOICEBANKACCOUNT:t FINVOICETEL:t FINVOICEADDRESS:t FGroup:BD_CustomerGroup FCustTypeId:BOS_ASSISTANTDATA_DETAIL FSELLER:BD_Saler FSALDEPTID:BD_Department FSETTLETYPEID:BD_SETTLETYPE FRECCONDITIONID:BD_RecCondition FPRICELISTID:BD_SAL_PriceList FTaxRate:BD_TaxRate FDocumentStatus:e FForbidStatus:e FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
rows FT_BD_CUSTBANK 银行信息 FBANKCODE:t FACCOUNTNAME:t FOPENBANKNAME:t
rows FT_BD_CUSTLOCATION 地点信息 FLOCNAME:t FLOCADDRESS:t

form BD_MATERIAL FMATERIALID FNumber 物料
head FName:t*=名称 FSpecification:t FCreateOrgId:ORG_Organizations*=创建组织 FUseOrgId:ORG_Organizations FDocumentStatus:e FForbidStatus:e FCreatorId:SEC_User FCreateDate:d FModifyDate:d FApproverId:SEC_User FApproveDate:d
object SubHeadEntity FErpClsID:e FCategoryID:BD_MATERIALCATEGORY FBaseUnitId:BD_UNIT FTaxRateId:BD_TaxRate

form BD_Currency FCURRENCYID FNumber 币别
head FName:t*=名称 FCODE:t FSYSMBOL:t FAMOUNTDIGITS:i FPRICEDIGITS:i FDocumentStatus:e FForbidStatus:e FCreateDate:d FModifyDate:d FApproveDate:d

form BD_Saler FID FNumber 销售员
head FName:t*=名称 FStaffId:BD_Empinfo FDeptId:BD_Department FBizOrgId:ORG_Organizations FDocumentStatus:e FForbidStatus:e FCreateDate:d FModifyDate:d FApproveDate:d

form BD_UNIT FUNITID FNumber 计量单位
head FName:t*=名称 FPrecision:i FDocumentStatus:e FForbidStatus:e FCreateDate:d FModifyDate:d FApproveDate:d

form BD_STOCK FStockId FNumber 仓库
head FName:t*=名称 FUseOrgId:ORG_Organizations FDocumentStatus:e FForbidStatus:e FCreateDate:d FModifyDate:d FApproveDate:d

form STK_Inventory - - 即时库存
head FID:t FStockOrgId:ORG_Organizations FMaterialId:BD_MATERIAL FStockId:BD_STOCK FLot:t FBaseUnitId:BD_UNIT FStockUnitId:BD_UNIT FBaseQty:q FBaseAVBQty:q FQty:q FAVBQty:q FUpdateTime:d
";

/// Base data that comes with the product or with the demo account set: form, number, name. Preset codes as seen in
/// public clients; the organisation, people, customers and materials are invented.
pub(crate) const SEED: &[(&str, &str, &str)] = &[
    ("ORG_Organizations", "100", "示例组织"),
    ("BOS_BillType", "XSDD01_SYS", "标准销售订单"),
    ("BOS_BillType", "XSDD05_SYS", "退货订单"),
    ("BOS_BillType", "XSDD08_SYS", "VMI销售订单"),
    ("BOS_BillType", "SKDLX01_SYS", "销售收款单"),
    ("BOS_BillType", "SKDLX02_SYS", "其他收款单"),
    ("BOS_BillType", "SKTKDLX01_SYS", "销售业务退款单"),
    ("BOS_BillType", "YSD01_SYS", "标准应收单"),
    ("BOS_BillType", "QTYSD01_SYS", "其他应收单"),
    ("BD_Currency", "PRE001", "人民币"),
    ("BD_Currency", "PRE007", "美元"),
    ("BD_UNIT", "Pcs", "Pcs"),
    ("BD_UNIT", "TAO", "套"),
    ("BD_UNIT", "NIAN", "年"),
    ("BD_RateType", "HLTX01_SYS", "固定汇率"),
    ("BD_SETTLETYPE", "JSFS01_SYS", "现金"),
    ("BD_SETTLETYPE", "JSFS04_SYS", "电汇"),
    ("CN_RECPAYPURPOSE", "SFKYT01_SYS", "销售收款"),
    ("CN_RECPAYPURPOSE", "SFKYT02_SYS", "预收款"),
    ("BD_RecCondition", "SKTJ03_SYS", "货到收款"),
    ("BD_TaxRate", "SL02_SYS", "13%增值税"),
    ("BD_MATERIALCATEGORY", "CHLB01_SYS", "原材料"),
    ("BD_Department", "BM0001", "示例销售部"),
    ("BD_STOCK", "CK001", "示例成品仓"),
    ("BD_Saler", "SP0001", "示例销售员"),
    ("BD_Saler", "SP0002", "示例销售员乙"),
    ("BD_Customer", "CUST0001", "示例客户"),
    ("BD_Customer", "CUST0002", "宁波样例贸易有限公司"),
    ("BD_MATERIAL", "MAT0001", "软件平台"),
    ("BD_MATERIAL", "MAT0002", "实施服务"),
];

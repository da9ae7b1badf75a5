# A contract as a Kingdee sales order. `$codes` holds the code tables.
def known($table): . as $code | $codes[$table][$code] // error("unknown code in \($table)");

def entry($date):
  (.unit_price_tax_included | tonumber) as $price
  | (.quantity | tonumber) as $quantity
  | {
      FMaterialId: {FNumber: (.product.code | known("materials"))},
      FUnitID: {FNumber: "Pcs"},
      FQty: $quantity,
      # The price that the amount after discount comes to.
      FTaxPrice: (
        if .discount_tax_included then
          (.amount_tax_included | tonumber) + (.discount_tax_included | tonumber)
          | . / $quantity
          | (. * 10000000000 | round) / 10000000000
        else $price end
      ),
      FEntryTaxRate: ((.tax_rate | tonumber) * 100),
      FIsFree: ($price == 0),
      FDeliveryDate: (.delivery_date // $date)
    }
  + if .note then {FEntryNote: .note} else {} end;

(.total_tax_included | tonumber) as $total
| if $total == 0 then error("the contract's total is 0.00, which makes no sales order") end
| (reduce .lines[] as $line (0;
    . + ($line.amount_tax_included | tonumber) + ($line.discount_tax_included // "0" | tonumber)
  )) as $sum
| if $sum != $total then error("the lines do not come to the total") end
# The day in China, which knows no summer time.
| (.signed_at | fromdate + 28800 | strftime("%Y-%m-%d")) as $date
| {
    FBillTypeID: {FNUMBER: "XSDD01_SYS"},
    FBillNo: .number,
    FDate: $date,
    FSaleOrgId: {FNumber: "100"},
    FCustId: {FNumber: (.customer.code | known("customers"))},
    # The house's own salesperson where the contract names none.
    FSalerId: {FNumber: (if .salesperson then .salesperson.code | known("salespersons") else "SP0001" end)},
    FNote: ("合同 \(.number) \(.note // "")" | .[:255]),
    FSaleOrderFinance: {
      FSettleCurrId: {FNumber: ({CNY: "PRE001", USD: "PRE007"}[.currency] // error("unknown currency"))},
      FIsIncludedTax: true
    },
    FSaleOrderEntry: [.lines[] | entry($date)]
  }

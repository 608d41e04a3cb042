"""The fields of the protocol's longest messages, by the names that the client library has for them."""

from __future__ import annotations

__all__ = ["COMPLETED", "OPEN", "PLACE_ALGO", "PLACE_HEAD", "PLACE_MIDDLE", "PLACE_SCALE", "PLACE_TAIL"]

PLACE_HEAD = (
    "secIdType secId action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose "
    "origin orderRef transmit parentId blockOrder sweepToFill displaySize triggerMethod outsideRth hidden"
)
"""The fields of ``placeOrder`` after its contract."""

PLACE_MIDDLE = (
    "sharesAllocation discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage modelCode "
    "shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty "
    "percentOffset eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy startingPrice stockRefPrice "
    "delta stockRangeLower stockRangeUpper overridePercentageConstraints volatility volatilityType "
    "deltaNeutralOrderType deltaNeutralAuxPrice"
)
"""Those after the legs."""

PLACE_SCALE = (
    "continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize "
    "scaleSubsLevelSize scalePriceIncrement"
)
"""Those after what an order that is delta neutral has."""

PLACE_ALGO = "algoId whatIf orderMiscOptions solicited randomizeSize randomizePrice"
"""Those after the algorithm."""

PLACE_TAIL = (
    "adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice "
    "adjustedTrailingAmount adjustableTrailingUnit extOperator softDollarName softDollarValue cashQty "
    "mifid2DecisionMaker mifid2DecisionAlgo mifid2ExecutionTrader mifid2ExecutionAlgo "
    "dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice usePriceMgmtAlgo duration "
    "postToAts autoCancelParent advancedErrorOverride manualOrderTime"
)
"""Those after the conditions."""

OPEN = (
    "action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef "
    "clientId permId outsideRth hidden discretionaryAmt goodAfterTime sharesAllocation faGroup faMethod "
    "faPercentage modelCode goodTillDate rule80A percentOffset settlingFirm shortSaleSlot "
    "designatedLocation exemptCode auctionStrategy startingPrice stockRefPrice delta stockRangeLower "
    "stockRangeUpper displaySize blockOrder sweepToFill allOrNone minQty ocaType eTradeOnly firmQuoteOnly "
    "nbboPriceCap parentId triggerMethod volatility volatilityType deltaNeutralOrderType "
    "deltaNeutralAuxPrice dnConId dnSettlingFirm dnClearing dnIntent dnOpenClose dnShortSale "
    "dnShortSaleSlot dnLocation continuousUpdate referencePriceType trailStopPrice trailingPercent "
    "basisPoints basisPointsType comboLegsDescrip comboLegs orderComboLegs smartParams scaleInit "
    "scaleSubs scalePriceIncrement hedgeType optOutSmartRouting clearingAccount clearingIntent notHeld "
    "dncPresent algoStrategy solicited whatIf status initMarginBefore maintMarginBefore "
    "equityWithLoanBefore initMarginChange maintMarginChange equityWithLoanChange initMarginAfter "
    "maintMarginAfter equityWithLoanAfter commission minCommission maxCommission commissionCurrency "
    "warningText randomizeSize randomizePrice conditions adjustedOrderType triggerPrice "
    "adjustedTrailStopPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice "
    "adjustedTrailingAmount adjustableTrailingUnit softDollarName softDollarValue softDollarDisplay "
    "cashQty dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice usePriceMgmtAlgo "
    "duration postToAts autoCancelParent minTradeQty minCompeteSize competeAgainstBestOffset "
    "midOffsetAtWhole midOffsetAtHalf"
)
"""The fields of an open order after its contract."""

COMPLETED = (
    "action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef "
    "permId outsideRth hidden discretionaryAmt goodAfterTime faGroup faMethod faPercentage modelCode "
    "goodTillDate rule80A percentOffset settlingFirm shortSaleSlot designatedLocation exemptCode "
    "startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize sweepToFill allOrNone "
    "minQty ocaType triggerMethod volatility volatilityType deltaNeutralOrderType deltaNeutralAuxPrice "
    "dnConId dnShortSale dnShortSaleSlot dnLocation continuousUpdate referencePriceType trailStopPrice "
    "trailingPercent comboLegsDescrip comboLegs orderComboLegs smartParams scaleInit scaleSubs "
    "scalePriceIncrement hedgeType clearingAccount clearingIntent notHeld dncPresent algoStrategy "
    "solicited status randomizeSize randomizePrice conditions adjustedTrailStopPrice lmtPriceOffset "
    "cashQty dontUseAutoPriceForHedge isOmsContainer autoCancelDate filledQuantity refFuturesConId "
    "autoCancelParent shareholder imbalanceOnly routeMarketableToBbo parentPermId completedTime "
    "completedStatus minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf"
)
"""The fields of a completed order after its contract."""

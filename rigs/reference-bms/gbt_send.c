/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt_send.c - the messages of the BMS. Little endian; 0.1 V, 0.1 A with offset -400 A (charging is negative), 1 degC
 * with offset -50 degC; bits nobody uses are 1.
 */
#include "can_queue.h"
#include "defect.h"
#include "gbt_parts.h"
#include "j1939_tp.h"
#include "limits.h"
#include "measure.h"
#include "params.h"

#include <string.h>

#define MV_STEP 100
#define MA_STEP 100
#define MA_OFFSET 400000
#define MDEGC_OFFSET 50000
#define UV_STEP 10000
#define BRM_BYTES 49U
#define TYPE_LFP 3U
#define MODE_CONSTANT_CURRENT 2U
#define BMV_CELLS 256U /* 512 bytes, the most of BMV */
#define FIELD_YES 1U   /* of the two-bit fields */

static struct {
    uint32_t stop_field;
    uint32_t late_field;
    int32_t most_ma;
    int32_t most_mv;
} sending;

void gbt_send_init(void) {
    (void)memset(&sending, 0, sizeof sending);
    sending.late_field = GBT_NOT_LATE;
}

void gbt_send_reason(uint32_t stop_field) {
    sending.stop_field = stop_field;
}

void gbt_send_late(uint32_t late_field) {
    sending.late_field = late_field;
}

void gbt_send_limit(int32_t most_ma, int32_t most_mv) {
    sending.most_ma = most_ma;
    sending.most_mv = most_mv;
}

int32_t gbt_demand_ma(void) {
    return bms_min(limits_charge_ma(), sending.most_ma);
}

int32_t gbt_demand_mv(void) {
    return bms_min(limits_charge_mv(), sending.most_mv);
}

/* ---- packing ------------------------------------------------------------------------------------------------- */

static void put_word(uint8_t *at, int64_t value) {
    const uint64_t clamped = can_field(value, 16U, 0U);
    at[0] = (uint8_t)clamped;
    at[1] = (uint8_t)(clamped >> 8U);
}

static void put_voltage(uint8_t *at, int32_t mv) {
    put_word(at, can_round(mv, MV_STEP));
}

/* charge_ma: positive into the pack. */
static void put_current(uint8_t *at, int64_t charge_ma) {
    put_word(at, can_round((int64_t)MA_OFFSET - charge_ma, MA_STEP));
}

static uint8_t degc(int32_t mdegc) {
    return (uint8_t)can_field(can_round((int64_t)mdegc + MDEGC_OFFSET, 1000), 8U, 0U);
}

static uint8_t soc_pct(void) {
    return (uint8_t)can_field(measured->q[Q_SOC_PERMILLE] / 10, 8U, 0U);
}

static void put_frame(uint32_t pgn, uint8_t priority, const uint8_t *data, uint32_t length) {
    can_queue_put_extended(j1939_id(priority, pgn, GBT_CHARGER, GBT_BMS), data, length);
}

/* One at a time of a kind: the last one may still wait for the charger. */
static void put_long(uint32_t pgn, const uint8_t *data, uint32_t length) {
    if (!j1939_tp_sending(pgn)) {
        (void)j1939_tp_send(pgn, GBT_CHARGER, 7U, data, length);
    }
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

static void send_bhm(void) {
    uint8_t data[2];
    put_voltage(data, limits_charge_mv());
    put_frame(GBT_BHM, 6U, data, sizeof data);
}

static void send_brm(void) {
    uint8_t data[BRM_BYTES];
    (void)memset(data, 0xFF, sizeof data);
    data[0] = 1U; /* protocol 1.1 */
    data[1] = 1U;
    data[2] = 0U;
    data[3] = TYPE_LFP;
    put_word(&data[4], params->capacity_mah / 100);
    put_voltage(&data[6], measured->pack_mv);
    put_long(GBT_BRM, data, sizeof data);
}

static void send_bcp(void) {
    uint8_t data[13];
    const int64_t energy_wh = ((int64_t)params->capacity_mah * measured->pack_mv) / 1000000;
    put_word(&data[0], params->cell_ov_alarm_mv / 10);
    put_current(&data[2], params->charge_max_ma);
    put_word(&data[4], energy_wh / 100);
    put_voltage(&data[6], limits_charge_mv());
    data[8] = degc(params->charge_ot_alarm_mdegc);
    put_word(&data[9], measured->q[Q_SOC_PERMILLE]);
    put_voltage(&data[11], measured->pack_mv);
    put_long(GBT_BCP, data, sizeof data);
}

static void send_bro(bool ready) {
    const uint8_t data[1] = {ready ? (uint8_t)GBT_RECOGNISED : 0U};
    put_frame(GBT_BRO, 4U, data, sizeof data);
}

static void send_bcl(void) {
    uint8_t data[5];
    put_voltage(&data[0], gbt_demand_mv());
    put_current(&data[2], gbt_demand_ma());
    data[4] = MODE_CONSTANT_CURRENT;
    put_frame(GBT_BCL, 6U, data, sizeof data);
}

static int32_t minutes_left(void) {
    const int64_t open_mah = ((int64_t)params->capacity_mah * (1000 - measured->q[Q_SOC_PERMILLE])) / 1000;
    const int64_t charge_ma = bms_max(gbt_demand_ma(), 1000);
    return (int32_t)can_field((open_mah * 60) / charge_ma, 16U, 0U);
}

static void send_bcs(void) {
    uint8_t data[9];
    put_voltage(&data[0], measured->charger_mv);
    put_current(&data[2], -(int64_t)measured->q[Q_CURRENT_MA]);
    put_word(&data[4], (int64_t)can_field(measured->q[Q_CELL_MAX_UV] / UV_STEP, 12U, 0U));
    data[6] = soc_pct();
    put_word(&data[7], minutes_left());
    put_long(GBT_BCS, data, sizeof data);
}

static void send_bsm(void) {
    uint8_t data[7];
    data[0] = 0U; /* cell 1 of its counting; which cell it is, the BMS's own messages tell */
    data[1] = degc(measured->q[Q_TEMP_MAX_MDEGC]);
    data[2] = 0U;
    data[3] = degc(measured->q[Q_TEMP_MIN_MDEGC]);
    data[4] = 0U;
    data[5] = 0U; /* nothing out of its range: otherwise charging has ended */
    data[6] = (uint8_t)(0xC0U | ((gbt_demand_ma() > 0) ? (FIELD_YES << 4U) : 0U));
    put_frame(GBT_BSM, 6U, data, sizeof data);
}

static void send_bmv(const bms_inputs *inputs) {
    uint8_t data[2U * BMV_CELLS];
    const uint32_t count = (measured->n_cells < BMV_CELLS) ? measured->n_cells : BMV_CELLS;
    for (uint32_t i = 0U; i < count; i++) {
        put_word(&data[2U * i], can_round(inputs->cell_uv[i], UV_STEP));
    }
    put_long(GBT_BMV, data, 2U * count);
}

static void send_bmt(const bms_inputs *inputs) {
    uint8_t data[BMS_MAX_TEMPS];
    for (uint32_t i = 0U; i < measured->n_temps; i++) {
        data[i] = degc(inputs->temp_mdegc[i]);
    }
    put_long(GBT_BMT, data, measured->n_temps);
}

static void send_bst(void) {
    uint8_t data[4];
    const uint32_t word = FIELD_YES << sending.stop_field;
    for (uint32_t i = 0U; i < sizeof data; i++) {
        data[i] = (uint8_t)(word >> (8U * i));
    }
    data[3] |= 0xF0U;
    put_frame(GBT_BST, 4U, data, sizeof data);
}

static void send_bsd(void) {
    uint8_t data[7];
    data[0] = soc_pct();
    put_word(&data[1], measured->q[Q_CELL_MIN_UV] / UV_STEP);
    put_word(&data[3], measured->q[Q_CELL_MAX_UV] / UV_STEP);
    data[5] = degc(measured->q[Q_TEMP_MIN_MDEGC]);
    data[6] = degc(measured->q[Q_TEMP_MAX_MDEGC]);
    put_frame(GBT_BSD, 6U, data, sizeof data);
}

static void send_bem(void) {
    uint8_t data[4];
    const uint32_t word = (sending.late_field < (uint32_t)GBT_NOT_LATE) ? (FIELD_YES << sending.late_field) : 0U;
    for (uint32_t i = 0U; i < sizeof data; i++) {
        data[i] = (uint8_t)(word >> (8U * i));
    }
    data[0] |= 0xF0U;
    data[1] |= 0xF0U;
    data[2] |= 0xF0U;
    data[3] |= 0xFCU;
    put_frame(GBT_BEM, 2U, data, sizeof data);
}

/* ---- what is due --------------------------------------------------------------------------------------------- */

static bool due(uint32_t since_ms, uint32_t period_ms) {
    return (since_ms % period_ms) == 0U;
}

static void send_charging(const bms_inputs *inputs, uint32_t since_ms) {
    if (due(since_ms, 50U) && !DEFECT(291)) {
        send_bcl();
    }
    if (due(since_ms, 250U)) {
        send_bcs();
        send_bsm();
    }
    if ((since_ms % 10000U) == 2000U) {
        send_bmv(inputs);
    } else if ((since_ms % 10000U) == 4000U) {
        send_bmt(inputs);
    } else {
        /* BSP is reserved */
    }
}

void gbt_send(const bms_inputs *inputs, gbt_stage stage, uint32_t since_ms) {
    const bool quarter = due(since_ms, 250U);
    if ((stage == GBT_HELLO) && quarter) {
        send_bhm();
    } else if ((stage == GBT_RECOGNITION) && quarter) {
        send_brm();
    } else if ((stage == GBT_PARAMETERS) && due(since_ms, 500U)) {
        send_bcp();
    } else if (((stage == GBT_PREPARATION) || (stage == GBT_READY)) && quarter) {
        send_bro(stage == GBT_READY);
    } else if (stage == GBT_CHARGING) {
        send_charging(inputs, since_ms);
    } else if (stage == GBT_STOPPING) {
        send_bst();
    } else if ((stage == GBT_STATISTICS) && quarter) {
        send_bsd();
    } else if ((stage == GBT_ERROR) && quarter && (since_ms < 5000U)) {
        send_bem();
    } else {
        /* silent */
    }
}

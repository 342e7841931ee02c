/* SPDX-License-Identifier: Apache-2.0
 *
 * soc.c - state of charge: coulomb counting, corrected from the open-circuit voltage after a rest.
 *
 * On the flat part of an LFP curve the voltage says nothing about the charge: there the count stands.
 */
#include "soc.h"

#include "defect.h"
#include "measure.h"
#include "params.h"
#include "seeded_count.h"

#include <string.h>

#define MA_MS_PER_UAH 3600LL
#define UAH_PER_MAH 1000LL
#define FULL 1000

static const int32_t ocv_permille[] = {0, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 980, 1000};

#define OCV_POINTS (sizeof ocv_permille / sizeof ocv_permille[0])

static struct {
    int64_t charge_uah;
    int64_t capacity_uah;
    int64_t drawn_ma_ms;   /* not yet taken from the charge */
    int64_t charged_ma_ms; /* not yet in the throughput */
    uint32_t throughput_mah;
    uint32_t rest_s;
    bool known;
} soc;

static void put_permille(void) {
    const int64_t permille = (soc.charge_uah * FULL) / soc.capacity_uah;
    measure_put(Q_SOC_PERMILLE, (int32_t)permille);
}

void soc_init(int64_t stored_uah, uint32_t throughput_mah) {
    (void)memset(&soc, 0, sizeof soc);
    soc.capacity_uah = ((int64_t)params->capacity_mah * UAH_PER_MAH * params->health_permille) / FULL;
    soc.capacity_uah = (soc.capacity_uah > 0) ? soc.capacity_uah : 1;
    soc.throughput_mah = throughput_mah;
    soc.known = stored_uah >= 0;
    soc.charge_uah = (stored_uah > soc.capacity_uah) ? soc.capacity_uah : stored_uah;
    if (DEFECT(454) && soc.known) {
        soc.charge_uah /= 2;
    }
    seeded_count_init(soc.known);
}

void soc_count(void) {
    if (measured->q[Q_CURRENT_INVALID] != 0) {
        return;
    }
    const int64_t portion = (int64_t)measured->q[Q_CURRENT_MA] * (int64_t)BMS_FAST_MS;
    soc.drawn_ma_ms += seeded_count(portion);
    soc.charged_ma_ms += (portion < 0) ? -portion : 0;
}

/* Share of charge at a rested cell voltage; -1 where the curve is too flat to tell. */
static int32_t permille_at(int32_t voltage_uv, int32_t least_slope) {
    const int32_t ocv_mv[OCV_POINTS] = {params->ocv_0_mv,  params->ocv_5_mv,  params->ocv_10_mv, params->ocv_20_mv,
                                        params->ocv_30_mv, params->ocv_40_mv, params->ocv_50_mv, params->ocv_60_mv,
                                        params->ocv_70_mv, params->ocv_80_mv, params->ocv_90_mv, params->ocv_98_mv,
                                        params->ocv_100_mv};
    if (voltage_uv <= (ocv_mv[0] * 1000)) {
        return 0;
    }
    for (uint32_t i = 1U; i < OCV_POINTS; i++) {
        const int32_t high_uv = ocv_mv[i] * 1000;
        const int32_t rise_uv = high_uv - (ocv_mv[i - 1U] * 1000);
        const int32_t width = ocv_permille[i] - ocv_permille[i - 1U];
        if (voltage_uv <= high_uv) {
            const bool steep = (rise_uv > 0) && (((rise_uv / width) >= least_slope) || DEFECT(456));
            return steep ? (ocv_permille[i] - (int32_t)(((int64_t)(high_uv - voltage_uv) * width) / rise_uv)) : -1;
        }
    }
    return FULL;
}

/* Mean cell voltage in uV, or -1 without valid cells. */
static int32_t mean_uv(void) {
    const int32_t count = (int32_t)measured->n_cells;
    return measured->all_cells_valid ? (int32_t)(((int64_t)measured->cell_sum_mv * 1000) / count) : -1;
}

static void set_permille(int32_t permille) {
    soc.charge_uah = (soc.capacity_uah * permille) / FULL;
    soc.drawn_ma_ms = 0;
    soc.known = true;
}

/* Delivered: the given state of charge, or else what the cell voltage says. */
static void find_first(void) {
    const int32_t voltage_uv = mean_uv();
    if (params->soc_initial_permille >= 0) {
        set_permille(params->soc_initial_permille);
    } else if (voltage_uv >= 0) {
        const int32_t permille = permille_at(voltage_uv, 0);
        set_permille((permille >= 0) ? permille : (FULL / 2));
    } else {
        /* wait for valid cells */
    }
}

void soc_step(void) {
    if (!soc.known) {
        find_first();
        if (!soc.known) {
            return;
        }
    }
    const int64_t drawn_uah = soc.drawn_ma_ms / MA_MS_PER_UAH;
    soc.drawn_ma_ms -= drawn_uah * MA_MS_PER_UAH;
    const int64_t charge_uah = soc.charge_uah - drawn_uah;
    soc.charge_uah = (charge_uah < 0) ? 0 : ((charge_uah > soc.capacity_uah) ? soc.capacity_uah : charge_uah);
    if (DEFECT(453) && (soc.charge_uah > ((soc.capacity_uah * 19) / 20))) {
        soc.charge_uah = (soc.capacity_uah * 19) / 20;
    }
    const int64_t charged_mah = soc.charged_ma_ms / (MA_MS_PER_UAH * UAH_PER_MAH);
    soc.charged_ma_ms -= charged_mah * MA_MS_PER_UAH * UAH_PER_MAH;
    soc.throughput_mah += (uint32_t)charged_mah;
    put_permille();
}

static bool at_rest(void) {
    const int32_t current_ma = measured->q[Q_CURRENT_MA];
    return (current_ma < params->rest_current_ma) && (current_ma > -params->rest_current_ma) &&
           (measured->q[Q_CURRENT_INVALID] == 0);
}

void soc_rest_step(void) {
    if (!at_rest()) {
        soc.rest_s = 0U;
        return;
    }
    if (soc.rest_s < UINT32_MAX) {
        soc.rest_s++;
    }
    if ((soc.rest_s % (uint32_t)params->soc_rest_s) != 0U) {
        return;
    }
    const int32_t voltage_uv = mean_uv();
    const int32_t permille = (voltage_uv >= 0) ? permille_at(voltage_uv, params->soc_slope_min_uv_per_permille) : -1;
    if (permille >= 0) {
        set_permille(DEFECT(457) ? (FULL - permille) : permille);
    }
}

int64_t soc_charge_uah(void) {
    return soc.known ? soc.charge_uah : -1;
}

uint32_t soc_throughput_mah(void) {
    return soc.throughput_mah;
}

uint32_t soc_rest_seconds(void) {
    return soc.rest_s;
}

uint32_t soc_to_rest_ms(void) {
    const uint32_t every_s = (uint32_t)params->soc_rest_s;
    return at_rest() ? ((every_s - (soc.rest_s % every_s)) * BMS_SECOND_MS) : UINT32_MAX;
}

uint32_t soc_to_step_ms(void) {
    const int64_t current_ma = measured->q[Q_CURRENT_MA];
    const int64_t rate_ma = (current_ma < 0) ? -current_ma : current_ma;
    const int64_t permille = (soc.charge_uah * FULL) / soc.capacity_uah;
    const int64_t edge_uah = ((permille + ((current_ma > 0) ? 0 : 1)) * soc.capacity_uah) / FULL;
    const int64_t left_uah = (current_ma > 0) ? (soc.charge_uah - edge_uah) : (edge_uah - soc.charge_uah);
    const int64_t ms = (rate_ma > 0) ? (((left_uah > 0) ? left_uah : 0) * MA_MS_PER_UAH / rate_ma) : UINT32_MAX;
    return (ms < (int64_t)UINT32_MAX) ? (uint32_t)ms : UINT32_MAX;
}

void soc_pass(uint32_t seconds) {
    if (measured->q[Q_CURRENT_INVALID] == 0) {
        const int64_t portion = (int64_t)measured->q[Q_CURRENT_MA] * (int64_t)seconds * (int64_t)BMS_SECOND_MS;
        soc.drawn_ma_ms += seeded_count(portion);
        soc.charged_ma_ms += (portion < 0) ? -portion : 0;
    }
    if (at_rest() && (soc.rest_s < (UINT32_MAX - seconds))) {
        soc.rest_s += seconds;
    }
    soc_step();
}

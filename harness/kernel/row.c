/* SPDX-License-Identifier: Apache-2.0
 *
 * row.c - writes the trace: one frame, one row.
 */
#include <math.h>
#include <string.h>

#include "sim.h"

/* A reading beyond is that of a broken or shorted sensor wire, not a temperature. */
enum { COLDEST_MDEGC = -45000, HOTTEST_MDEGC = 125000 };
static const float LEAST_PACK_V = 1.0F; /* below, a share of it says nothing */
#define NVM_SHOWN_NS 1000000000ULL
#define RISE_WINDOW_NS 3000000000ULL
#define RISE_PER_K_PER_S 3000.0 /* mK over the window for 1 K/s */

void bh_record_frame(bh_trace *trace, const bh_slot *slot, uint64_t end_ns) {
    const int64_t at = trace->n_frames++;
    const fil_frame *frame = &slot->frame;
    uint8_t *data = trace->frame_data + at * trace->frame_width;
    trace->frame_ns[at] = end_ns;
    trace->frame_id[at] = frame->id;
    trace->frame_flags[at] = frame->flags;
    trace->frame_bus[at] = frame->bus;
    trace->frame_node[at] = slot->node;
    trace->frame_length[at] = frame->length;
    if (trace->frame_width == 8) {
        memcpy(data, frame->data, 8);
        return;
    }
    memset(data, 0, (size_t)trace->frame_width);
    memcpy(data, frame->data, frame->length < trace->frame_width ? frame->length : (size_t)trace->frame_width);
}

/* The columns of one row lie max_rows apart. */
typedef struct bh_row {
    float *at;
    int64_t stride;
} bh_row;

static inline void put(bh_row row, int32_t column, double value) {
    row.at[column * row.stride] = (float)value;
}

static int nvm_damaged(const bh_sim *sim) {
    return sim->nvm.damaged && sim->powered && sim->now_ns - sim->nvm.read_ns < NVM_SHOWN_NS;
}

static void put_given(const bh_sim *sim, bh_row row) {
    const bh_sense *sense = &sim->sense;
    const fil_inputs *inputs = &sense->inputs;
    put(row, BH_GIVEN_PACK_VOLTAGE_V, inputs->pack_mv * 1e-3);
    put(row, BH_GIVEN_LINK_VOLTAGE_V, inputs->link_mv * 1e-3);
    put(row, BH_GIVEN_CHARGER_VOLTAGE_V, inputs->charger_mv * 1e-3);
    put(row, BH_GIVEN_PACK_CURRENT_A, inputs->current_ma * 1e-3);
    put(row, BH_GIVEN_CELL_VOLTAGE_MAX_V, sense->cells.max);
    put(row, BH_GIVEN_CELL_VOLTAGE_MIN_V, sense->cells.min);
    put(row, BH_GIVEN_CELL_VOLTAGE_SUM_V, (double)sense->cell_uv_sum * 1e-6);
    put(row, BH_GIVEN_CELL_VOLTAGE_MAX_INDEX, sense->cells.max_index);
    put(row, BH_GIVEN_CELL_VOLTAGE_MIN_INDEX, sense->cells.min_index);
    put(row, BH_GIVEN_CELL_TEMP_MAX_DEGC, sense->temps.max);
    put(row, BH_GIVEN_CELL_TEMP_MIN_DEGC, sense->temps.min);
    put(row, BH_GIVEN_CELL_TEMP_MAX_INDEX, sense->temps.max_index);
    put(row, BH_GIVEN_CELL_TEMP_MIN_INDEX, sense->temps.min_index);
    put(row, BH_GIVEN_CELLS_INVALID, sense->cells_invalid);
    put(row, BH_GIVEN_CELLS_OPEN_WIRE, sense->cells_open_wire);
    put(row, BH_GIVEN_CELL_AGE_MAX_S, sense->cell_age_max_s);
    put(row, BH_GIVEN_TEMPS_INVALID, sense->temps_invalid);
    put(row, BH_GIVEN_CURRENT_VALID, inputs->current_flags & FIL_VALID);
    /* what a monitor says that is not valid is not known */
    put(row, BH_GIVEN_INSULATION_OHM, inputs->insulation_flags & FIL_VALID ? inputs->insulation_ohm : (double)NAN);
    put(row, BH_GIVEN_SUPPLY_V, inputs->supply_mv * 1e-3);
    put(row, BH_GIVEN_DIGITAL_IN, inputs->digital_in);
    put(row, BH_GIVEN_CELL_FROZEN_A, sense->frozen.cell_a);
    put(row, BH_GIVEN_PACK_VOLTAGE_FROZEN_A, sense->frozen.pack_a);
    put(row, BH_GIVEN_LINK_VOLTAGE_FROZEN_A, sense->frozen.link_a);
    put(row, BH_GIVEN_CURRENT_FROZEN_V, sense->frozen.current_v);
    put(row, BH_GIVEN_CAN_STATE, inputs->can_state != NULL && inputs->n_buses > 0 ? inputs->can_state[0] : 0);
    put(row, BH_GIVEN_NVM_DAMAGED, nvm_damaged(sim));
    put(row, BH_GIVEN_SOC_COUNTED, sim->soc_counted);
}

/* Worked out in single precision from the columns as they are recorded: the same as from a recording. */
static void put_derived(const bh_sense *sense, bh_row row) {
    const float pack_v = row.at[BH_GIVEN_PACK_VOLTAGE_V * row.stride];
    const float link_v = row.at[BH_GIVEN_LINK_VOLTAGE_V * row.stride];
    const float sum_v = row.at[BH_GIVEN_CELL_VOLTAGE_SUM_V * row.stride];
    const float mismatch_v = sense->cells_invalid > 0 ? 0.0F : fabsf(sum_v - pack_v);
    const float link_pct = pack_v > LEAST_PACK_V ? 100.0F * link_v / pack_v : 0.0F;
    put(row, BH_GIVEN_CELL_VOLTAGE_SPREAD_V, sense->cells.max - sense->cells.min);
    put(row, BH_GIVEN_CELL_TEMP_SPREAD_K, sense->temps.max - sense->temps.min);
    put(row, BH_GIVEN_VOLTAGE_MISMATCH_V, mismatch_v);
    put(row, BH_GIVEN_LINK_OF_PACK_PCT, link_pct);
}

static void put_truth(const bh_truth *truth, bh_row row) {
    put(row, BH_TRUTH_PACK_VOLTAGE_V, truth->pack_v);
    put(row, BH_TRUTH_LINK_VOLTAGE_V, truth->link_v);
    put(row, BH_TRUTH_PACK_CURRENT_A, truth->pack_a);
    put(row, BH_TRUTH_CELL_VOLTAGE_MAX_V, truth->cell_v_max);
    put(row, BH_TRUTH_CELL_VOLTAGE_MIN_V, truth->cell_v_min);
    put(row, BH_TRUTH_CELL_VOLTAGE_MAX_INDEX, truth->cell_v_max_index);
    put(row, BH_TRUTH_CELL_VOLTAGE_MIN_INDEX, truth->cell_v_min_index);
    put(row, BH_TRUTH_CELL_TEMP_MAX_DEGC, truth->cell_degc_max);
    put(row, BH_TRUTH_CELL_TEMP_MIN_DEGC, truth->cell_degc_min);
    put(row, BH_TRUTH_CELL_TEMP_MAX_INDEX, truth->cell_degc_max_index);
    put(row, BH_TRUTH_SOC_MEAN, truth->soc_mean);
    put(row, BH_TRUTH_SOC_MIN, truth->soc_min);
    put(row, BH_TRUTH_SOC_MAX, truth->soc_max);
    put(row, BH_TRUTH_INSULATION_OHM, truth->insulation_ohm);
    put(row, BH_TRUTH_LOAD_W, truth->load_w);
    put(row, BH_TRUTH_LINE_VOLTAGE_V, truth->line_v);
    put(row, BH_TRUTH_POLE_CONTACT, truth->pole_on);
    put(row, BH_TRUTH_CHARGER_CURRENT_A, truth->charger_a);
    put(row, BH_TRUTH_COOLANT_DEGC, truth->coolant_degc);
    put(row, BH_TRUTH_CONTACTORS, truth->closed);
    put(row, BH_TRUTH_FUSE_OPEN, truth->fuse_open);
}

static void put_output(const bh_sim *sim, bh_row row) {
    put(row, BH_OUTPUT_CONTACTORS, sim->outputs.contactors);
    put(row, BH_OUTPUT_DIGITAL, sim->outputs.digital_out);
    put(row, BH_OUTPUT_BALANCING, sim->n_balancing);
    put(row, BH_OUTPUT_POWERED, sim->powered);
    put(row, BH_OUTPUT_CAN_RESTART, sim->outputs.can_restart & 1U);
    put(row, BH_ENV_CHARGE_LIMIT_A, sim->heard.charge_limit_a);
    put(row, BH_ENV_DISCHARGE_LIMIT_A, sim->heard.discharge_limit_a);
    put(row, BH_ENV_BUS_LOAD, bh_bus_load(&sim->buses));
}

static void put_arrays(const bh_sim *sim, bh_trace *trace, int64_t at) {
    const size_t n_cells = (size_t)sim->sense.n_cells;
    const size_t n_temps = (size_t)sim->sense.n_temps;
    const size_t row = (size_t)at;
    if (trace->cell_uv != NULL) {
        memcpy(trace->cell_uv + row * n_cells, sim->sense.given.cell_uv, n_cells * sizeof(int32_t));
    }
    if (trace->cell_flags != NULL) {
        memcpy(trace->cell_flags + row * n_cells, sim->sense.given.cell_flags, n_cells);
    }
    if (trace->temp_mdegc != NULL) {
        memcpy(trace->temp_mdegc + row * n_temps, sim->sense.given.temp_mdegc, n_temps * sizeof(int32_t));
    }
    if (trace->true_cell_v != NULL) {
        memcpy(trace->true_cell_v + row * n_cells, sim->truth->cell_v, n_cells * sizeof(float));
    }
    if (trace->true_cell_degc != NULL) {
        memcpy(trace->true_cell_degc + row * n_cells, sim->truth->cell_degc, n_cells * sizeof(float));
    }
}

/* ---- fastest rise of a temperature ---------------------------------------------------------------------------- */

static int32_t largest_rise(const int32_t *restrict now, const int32_t *restrict before, int32_t n) {
    int32_t largest = INT32_MIN;
    for (int32_t i = 0; i < n; i++) {
        const int32_t rise = now[i] - before[i];
        largest = rise > largest ? rise : largest;
    }
    return largest;
}

/* Over sensors that show a temperature in both rows; 0 without any. */
static int32_t largest_valid_rise(const int32_t *restrict now, const int32_t *restrict before, int32_t n) {
    int32_t largest = INT32_MIN;
    for (int32_t i = 0; i < n; i++) {
        const int valid = (now[i] > COLDEST_MDEGC) & (now[i] < HOTTEST_MDEGC) & (before[i] > COLDEST_MDEGC) &
                          (before[i] < HOTTEST_MDEGC);
        const int32_t rise = valid ? now[i] - before[i] : INT32_MIN; /* no overflow: both lie in the range */
        largest = rise > largest ? rise : largest;
    }
    return largest == INT32_MIN ? 0 : largest;
}

/* Whether every sensor showed a temperature in a row. */
static int all_valid(const bh_trace *trace, int64_t at) {
    const float *column = trace->columns + at;
    const int64_t stride = trace->max_rows;
    return !(column[BH_GIVEN_TEMPS_INVALID * stride] > 0.0F) &&
           column[BH_GIVEN_CELL_TEMP_MAX_DEGC * stride] < HOTTEST_MDEGC / 1000 &&
           column[BH_GIVEN_CELL_TEMP_MIN_DEGC * stride] > COLDEST_MDEGC / 1000;
}

/* K/s over the last 3 s; since the first row as long as there are no 3 s. */
static double temp_rise(const bh_sim *sim, const bh_trace *trace, int64_t at) {
    if (trace->temp_mdegc == NULL) {
        return (double)NAN;
    }
    const uint64_t row_ns = sim->tick_ns * (uint64_t)trace->record_every;
    const int64_t window = (int64_t)((RISE_WINDOW_NS + row_ns / 2) / row_ns);
    const int64_t back = window > 1 ? window : 1;
    const int64_t then = at > back ? at - back : 0;
    const int32_t n = sim->sense.n_temps;
    const int32_t *now = sim->sense.given.temp_mdegc;
    const int32_t *before = trace->temp_mdegc + then * n;
    const int valid = all_valid(trace, at) && all_valid(trace, then);
    return (valid ? largest_rise(now, before, n) : largest_valid_rise(now, before, n)) / RISE_PER_K_PER_S;
}

/* ---- extremes of the columns ----------------------------------------------------------------------------------- */

enum { LANES = 8, BLOCK_ROWS = 256 /* of all columns: what the caches still hold */ };

typedef struct bh_range {
    float least[LANES];
    float greatest[LANES];
    int32_t unknown[LANES];
} bh_range;

/* One lane a place: vector code without any licence to reorder. NAN is neither less nor greater. */
static inline void widen(bh_range *range, int lane, float value) {
    range->least[lane] = value < range->least[lane] ? value : range->least[lane];
    range->greatest[lane] = value > range->greatest[lane] ? value : range->greatest[lane];
    range->unknown[lane] |= value != value;
}

static bh_range range_of(const float *values, int64_t n) {
    bh_range range;
    int64_t i = 0;
    for (int lane = 0; lane < LANES; lane++) {
        range.least[lane] = HUGE_VALF;
        range.greatest[lane] = -HUGE_VALF;
        range.unknown[lane] = 0;
    }
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            widen(&range, lane, values[i + lane]);
        }
    }
    for (; i < n; i++) {
        widen(&range, 0, values[i]);
    }
    for (int lane = 1; lane < LANES; lane++) {
        range.least[0] = range.least[lane] < range.least[0] ? range.least[lane] : range.least[0];
        range.greatest[0] = range.greatest[lane] > range.greatest[0] ? range.greatest[lane] : range.greatest[0];
        range.unknown[0] |= range.unknown[lane];
    }
    return range;
}

void bh_record_extremes(bh_trace *trace) {
    const int64_t first = trace->n_summed;
    if (trace->column_least == NULL || first >= trace->n_rows) {
        return;
    }
    for (int32_t c = 0; c < BH_N_COLUMNS; c++) {
        const bh_range range = range_of(trace->columns + c * trace->max_rows + first, trace->n_rows - first);
        const int begins = first == 0;
        const float least = begins ? HUGE_VALF : trace->column_least[c];
        const float greatest = begins ? -HUGE_VALF : trace->column_greatest[c];
        trace->column_least[c] = range.least[0] < least ? range.least[0] : least;
        trace->column_greatest[c] = range.greatest[0] > greatest ? range.greatest[0] : greatest;
        trace->column_unknown[c] = range.unknown[0] | (begins ? 0 : trace->column_unknown[c]);
    }
    trace->n_summed = trace->n_rows;
}

/* ---- one row --------------------------------------------------------------------------------------------------- */

void bh_record_row(const bh_sim *sim, bh_trace *trace) {
    const int64_t at = trace->n_rows++;
    const bh_row row = {trace->columns + at, trace->max_rows};
    trace->row_ns[at] = sim->now_ns;
    put_given(sim, row);
    put_derived(&sim->sense, row);
    put_truth(sim->truth, row);
    put_output(sim, row);
    put_arrays(sim, trace, at);
    put(row, BH_GIVEN_CELL_TEMP_RISE_K_PER_S, temp_rise(sim, trace, at));
    if (trace->n_rows - trace->n_summed >= BLOCK_ROWS) {
        bh_record_extremes(trace);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * row.c - writes the trace: one frame, one row.
 */
#include <string.h>

#include "sim.h"

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
    put(row, BH_GIVEN_INSULATION_OHM, inputs->insulation_ohm);
    put(row, BH_GIVEN_SUPPLY_V, inputs->supply_mv * 1e-3);
    put(row, BH_GIVEN_DIGITAL_IN, inputs->digital_in);
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

void bh_record_row(const bh_sim *sim, bh_trace *trace) {
    const int64_t at = trace->n_rows++;
    const bh_row row = {trace->columns + at, trace->max_rows};
    trace->row_ns[at] = sim->now_ns;
    put_given(sim, row);
    put_truth(sim->truth, row);
    put_output(sim, row);
    put_arrays(sim, trace, at);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - the lock-step loop. One tick, from its start to its end:
 *   events due at the start, messages due in the tick, faults on the truth, plant step;
 *   at the end: supply, samples and their faults, frames that ended on the bus, firmware step, its frames and outputs,
 *   trace row.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

/* ---- events -------------------------------------------------------------------------------------------------- */

static void change_nvm(bh_nvm *nvm, int32_t offset, double value) {
    if (nvm->n_flips < BH_NVM_FLIPS) {
        nvm->flip_at[nvm->n_flips] = offset;
        nvm->flip_mask[nvm->n_flips] = (uint8_t)value;
        nvm->n_flips++;
    }
}

static void tell(bh_sim *sim, const bh_event *event) {
    if (event->value >= 1.5) {
        bh_tester_flow(&sim->tester, event->payload, (uint32_t)event->index);
    } else if (event->value >= 0.5) {
        bh_tester_frame(&sim->tester, &sim->buses, event->payload, (uint32_t)event->index, sim->now_ns);
    } else {
        bh_tester_request(&sim->tester, &sim->buses, event->payload, (uint32_t)event->index, sim->now_ns);
    }
}

static void happen(bh_sim *sim, const bh_event *event) {
    const int on = event->value >= 0.5;
    switch (event->kind) {
    case BH_EVENT_PAYLOAD: bh_restbus_payload(&sim->restbus, event->index, event->payload, sim->now_ns); break;
    case BH_EVENT_MESSAGE: bh_restbus_enable(&sim->restbus, event->index, on); break;
    case BH_EVENT_IGNITION: sim->controls.ignition = (uint8_t)on; break;
    case BH_EVENT_PLUG: sim->controls.plug = (uint8_t)on; break;
    case BH_EVENT_POWER: sim->supply_on = (uint8_t)on; break;
    case BH_EVENT_LOAD_SCALE: sim->controls.load_scale = event->value; break;
    case BH_EVENT_LOAD_TIME_S: bh_plant_set_load_time(sim->plant, event->value); break;
    case BH_EVENT_SOC: bh_plant_set_soc(sim->plant, event->value); break;
    case BH_EVENT_TESTER: tell(sim, event); break;
    case BH_EVENT_NVM: change_nvm(&sim->nvm, event->index, event->value); break;
    case BH_EVENT_TEMP_DEGC: bh_plant_set_temperature(sim->plant, event->value); break;
    default: break;
    }
}

static const char *problem_of_request(const bh_sim *sim, const bh_event *event) {
    if (!sim->tester.config.enabled) {
        return "there is no tester";
    }
    const int32_t frame = event->value >= 1.5 ? BH_TESTER_FLOW : BH_FRAME_BYTES;
    const int32_t most = event->value >= 0.5 ? frame : BH_TESTER_BYTES;
    return event->index >= 1 && event->index <= most ? NULL : "length not possible";
}

static const char *problem_of(const bh_sim *sim, const bh_event *event, uint64_t earliest_ns) {
    if (event->t_ns < earliest_ns) {
        return "lies in the past or is out of order";
    }
    switch (event->kind) {
    case BH_EVENT_PAYLOAD:
    case BH_EVENT_MESSAGE:
        return event->index >= 0 && event->index < sim->restbus.n_messages ? NULL : "no such message";
    case BH_EVENT_TESTER: return problem_of_request(sim, event);
    case BH_EVENT_SOC: return event->value >= 0.0 && event->value <= 1.0 ? NULL : "state of charge must be 0..1";
    case BH_EVENT_NVM:
        return event->index >= -1 && event->value >= 0.0 && event->value <= 255.0 ? NULL : "offset or mask not possible";
    case BH_EVENT_TEMP_DEGC: return fabs(event->value) <= 200.0 ? NULL : "temperature must be within 200 degC of 0";
    case BH_EVENT_LOAD_SCALE: return fabs(event->value) <= BH_FOREVER_S ? NULL : "value not possible";
    case BH_EVENT_LOAD_TIME_S: return event->value >= 0.0 && event->value <= BH_FOREVER_S ? NULL : "value not possible";
    case BH_EVENT_IGNITION:
    case BH_EVENT_PLUG:
    case BH_EVENT_POWER: return NULL;
    default: return "no such kind";
    }
}

static int check_events(bh_sim *sim, const bh_event *events, int32_t n) {
    if (n < 0 || n > sim->max_events) {
        snprintf(sim->error, sizeof sim->error, "%d events planned, room for %d (max_events)", n, sim->max_events);
        return -1;
    }
    uint64_t earliest_ns = sim->now_ns;
    for (int32_t i = 0; i < n; i++) {
        const char *problem = problem_of(sim, &events[i], earliest_ns);
        if (problem != NULL) {
            snprintf(sim->error, sizeof sim->error, "event %d of the plan (kind %d, index %d, value %g): %s", i,
                     events[i].kind, events[i].index, events[i].value, problem);
            return -1;
        }
        earliest_ns = events[i].t_ns;
    }
    return 0;
}

static int replace_plan(bh_sim *sim, const bh_event *events, int32_t n_events, const bh_fault *faults,
                        int32_t n_faults, int keep) {
    if (check_events(sim, events, n_events) != 0 ||
        bh_faults_plan(&sim->faults, faults, n_faults, keep, sim->error, sizeof sim->error) != 0) {
        return BH_BAD_CONFIG;
    }
    if (n_events > 0) {
        memcpy(sim->events, events, (size_t)n_events * sizeof *events);
    }
    bh_wire_plan(&sim->wire, &sim->buses, sim->now_ns);
    bh_reading_remember(&sim->sense, &sim->faults);
    sim->n_events = n_events;
    sim->next_event = 0;
    return BH_OK;
}

int bh_plan(bh_sim *sim, const bh_event *events, int32_t n_events, const bh_fault *faults, int32_t n_faults) {
    return replace_plan(sim, events, n_events, faults, n_faults, 0);
}

int bh_replan(bh_sim *sim, const bh_event *events, int32_t n_events, const bh_fault *faults, int32_t n_faults) {
    return replace_plan(sim, events, n_events, faults, n_faults, 1);
}

/* ---- one tick ------------------------------------------------------------------------------------------------ */

void bh_tick_begin(bh_sim *sim) {
    while (sim->next_event < sim->n_events && sim->events[sim->next_event].t_ns <= sim->now_ns) {
        happen(sim, &sim->events[sim->next_event++]);
    }
    if (sim->wire.n > 0) {
        bh_wire_tick(&sim->wire, &sim->buses, sim->now_ns);
    }
    bh_restbus_send(&sim->restbus, &sim->buses, &sim->faults, sim->now_ns, sim->now_ns + sim->tick_ns,
                    sim->controls.plug);
    bh_gbt_step(&sim->gbt, &sim->buses, &sim->faults, sim->truth, sim->controls.plug, sim->now_ns);
    bh_gbt_orders(&sim->gbt, &sim->faults, &sim->heard, sim->now_ns);
    bh_faults_bend(&sim->faults, sim->plant, sim->now_ns, sim->tick);
    sim->controls.contactors = sim->outputs.contactors;
    sim->controls.balancing = sim->n_balancing > 0 ? sim->balancing : NULL;
}

/* A frame with marks, or of a node that does not belong there: everyone hears that one. */
static void deliver_marked(bh_sim *sim, const bh_slot *slot, uint64_t end_ns) {
    fil_frame frame = slot->frame;
    const int unheard = (frame.flags & (FIL_FRAME_ERROR | BH_FRAME_UNHEARD)) != 0;
    frame.flags &= (uint8_t)~(BH_FRAME_UNHEARD | BH_FRAME_BENT);
    if (slot->node != BH_NODE_DUT && sim->powered && !unheard && bh_bus_dut_hears(&sim->buses, frame.bus)) {
        bh_controller_receive(sim, &frame);
    }
    if ((slot->node == BH_NODE_DUT || slot->node == BH_NODE_FOREIGN) && !unheard) {
        bh_restbus_hear(&sim->restbus, &sim->heard, &frame, end_ns);
        bh_tester_hear(&sim->tester, &sim->buses, &frame, end_ns);
        bh_gbt_hear(&sim->gbt, &sim->faults, &frame, end_ns);
    }
}

static void run_buses(bh_sim *sim) {
    uint64_t end_ns;
    const bh_slot *slot;
    while ((slot = bh_bus_next(&sim->buses, sim->now_ns, &end_ns)) != NULL) {
        bh_record_frame(sim->trace, slot, end_ns);
        if (slot->frame.flags >= FIL_FRAME_ERROR || slot->node == BH_NODE_FOREIGN) {
            deliver_marked(sim, slot, end_ns);
        } else if (slot->node == BH_NODE_DUT) {
            bh_restbus_hear(&sim->restbus, &sim->heard, &slot->frame, end_ns);
            bh_tester_hear(&sim->tester, &sim->buses, &slot->frame, end_ns);
            bh_gbt_hear(&sim->gbt, &sim->faults, &slot->frame, end_ns);
        } else if (sim->powered && bh_bus_dut_hears(&sim->buses, slot->frame.bus)) {
            bh_controller_receive(sim, &slot->frame);
        }
    }
    bh_bus_tick(&sim->buses, sim->now_ns);
}

void bh_count_charge(bh_sim *sim, double length_s) {
    const fil_inputs *inputs = &sim->sense.inputs;
    if ((inputs->current_flags & FIL_VALID) != 0) {
        sim->soc_counted -= inputs->current_ma * 1e-3 * length_s * sim->truth->soc_per_c;
    }
}

static int run_controller(bh_sim *sim) {
    if (!sim->powered) {
        return BH_OK;
    }
    bh_count_charge(sim, sim->dt_s);
    const int result = bh_controller_step(sim);
    return result != BH_OK ? result : bh_controller_send(sim);
}

int bh_tick_given(bh_sim *sim) {
    sim->now_ns += sim->tick_ns;
    sim->tick++;
    if (sim->faults.truth.n > 0) {
        bh_faults_observe(&sim->faults, sim->plant, sim->now_ns, sim->dt_s);
    }
    const int result = bh_controller_supply(sim);
    if (result != BH_OK) {
        return result;
    }
    bh_sense_sample(&sim->sense, &sim->faults, sim->truth, &sim->controls, sim->now_ns, sim->tick);
    run_buses(sim);
    return BH_OK;
}

int bh_tick_end(bh_sim *sim) {
    const int result = run_controller(sim);
    if (result != BH_OK) {
        return result;
    }
    bh_restbus_measure(&sim->restbus, sim->truth);
    if (sim->tick % (uint64_t)sim->trace->record_every == 0) {
        bh_record_row(sim, sim->trace);
    }
    return BH_OK;
}

int bh_run_tick(bh_sim *sim) {
    bh_tick_begin(sim);
    bh_plant_step(sim->plant, &sim->controls, &sim->heard, sim->now_ns, sim->dt_s);
    const int result = bh_tick_given(sim);
    return result != BH_OK ? result : bh_tick_end(sim);
}

int bh_trace_full(const bh_sim *sim) {
    const bh_trace *trace = sim->trace;
    return trace->n_rows >= trace->max_rows || trace->n_frames + sim->frame_room > trace->max_frames;
}

static int run_ticks(void *context) {
    bh_sim *sim = context;
    while (sim->now_ns < sim->until_ns) {
        if (bh_trace_full(sim)) {
            return BH_FULL;
        }
        const int result = bh_run_tick(sim);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

/* ---- runs ---------------------------------------------------------------------------------------------------- */

int bh_guarded(bh_sim *sim, int (*body)(void *sim)) {
    const int result = bh_guard_run(&sim->guard, &sim->image, body, sim);
    if (result == BH_FIRMWARE_CRASH || result == BH_FIRMWARE_HANG) {
        bh_guard_text(&sim->guard, result, sim->error, sizeof sim->error);
        sim->error_address = sim->guard.address;
    }
    if (result != BH_OK && result != BH_FULL) {
        sim->failed = result;
    }
    return result;
}

static const char *problem_of_trace(const bh_trace *trace) {
    if (trace == NULL || trace->columns == NULL || trace->row_ns == NULL || trace->frame_ns == NULL ||
        trace->frame_id == NULL || trace->frame_flags == NULL || trace->frame_bus == NULL ||
        trace->frame_node == NULL || trace->frame_length == NULL || trace->frame_data == NULL) {
        return "a trace buffer is missing";
    }
    if (trace->record_every < 1 || (trace->frame_width != 8 && trace->frame_width != 64)) {
        return "record_every must be >= 1 and frame_width 8 or 64";
    }
    return NULL;
}

int bh_refuse_run(bh_sim *sim, const char *why) {
    snprintf(sim->error, sizeof sim->error, "%s", why);
    return BH_BAD_CONFIG;
}

int bh_run_begin(bh_sim *sim, uint64_t until_ns, bh_trace *trace) {
    if (sim->failed != BH_OK) {
        return sim->failed;
    }
    const char *problem = problem_of_trace(trace);
    if (problem != NULL || until_ns < sim->now_ns || until_ns % sim->tick_ns != 0) {
        snprintf(sim->error, sizeof sim->error, "bh_run until %llu ns: %s", (unsigned long long)until_ns,
                 problem != NULL ? problem : "must not lie in the past and be a multiple of the tick");
        return BH_BAD_CONFIG;
    }
    sim->trace = trace;
    sim->until_ns = until_ns;
    trace->n_summed = trace->n_rows > 0 ? trace->n_summed : 0; /* cleared buffers begin anew */
    return BH_OK;
}

void bh_run_end(bh_sim *sim) {
    bh_record_extremes(sim->trace);
    sim->trace = NULL;
}

int bh_run(bh_sim *sim, uint64_t until_ns, bh_trace *trace) {
    int result = bh_run_begin(sim, until_ns, trace);
    if (result == BH_OK) {
        result = bh_guarded(sim, run_ticks);
        bh_run_end(sim);
    }
    return result;
}

int bh_send(bh_sim *sim, int32_t node, const fil_frame *frame) {
    const uint32_t max_id = (frame->flags & FIL_FRAME_EXTENDED) != 0 ? 0x1FFFFFFF : 0x7FF;
    const int fd = (frame->flags & FIL_FRAME_FD) != 0;
    if (node <= BH_NODE_DUT || node >= BH_N_NODES || frame->bus >= sim->buses.n || frame->id > max_id ||
        frame->length > (fd ? 64 : 8) || (frame->flags & FIL_FRAME_ERROR) != 0 ||
        (fd && (frame->flags & FIL_FRAME_REMOTE) != 0)) {
        snprintf(sim->error, sizeof sim->error, "frame 0x%X of node %d is not one: bus %u, flags 0x%02X, %u bytes",
                 frame->id, node, frame->bus, frame->flags, frame->length);
        return BH_BAD_CONFIG;
    }
    if (bh_bus_queue(&sim->buses, frame, (uint8_t)node, sim->now_ns) != 0) {
        snprintf(sim->error, sizeof sim->error, "bus %u: %d frames are waiting, no room for more", frame->bus,
                 BH_BUS_SLOTS);
        return BH_FULL;
    }
    return BH_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c - lays the simulation out in its arena, powers it on, copies it out and back.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    NS_PER_US = 1000,
    LEAST_FRAME_BITS = 33, /* destroyed in its length code */
    LEAST_FD_NOMINAL_BITS = 26
};

/* Why the last configuration of this thread was refused. */
static _Thread_local char config_error[BH_ERROR_TEXT];
static _Thread_local int config_result;
static _Thread_local uint64_t config_address;

/* ---- arena --------------------------------------------------------------------------------------------------- */

void *bh_take(bh_arena *arena, size_t bytes) {
    const size_t at = arena->used;
    arena->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->base == NULL || arena->used > arena->size) {
        return NULL;
    }
    memset(arena->base + at, 0, bytes);
    return arena->base + at;
}

uint32_t bh_abi_version(void) {
    return BH_ABI_VERSION;
}

const char *bh_config_error(void) {
    return config_error;
}

int bh_config_result(void) {
    return config_result;
}

uint64_t bh_config_address(void) {
    return config_address;
}

static void refuse(int result, uint64_t address, const char *why) {
    snprintf(config_error, sizeof config_error, "%s", why);
    config_result = result;
    config_address = address;
}

/* ---- the firmware before it runs ------------------------------------------------------------------------------ */

/* What bh_arena_size asks the firmware, guarded like everything else. */
typedef struct bh_question {
    const bh_firmware *firmware;
    bh_guard guard;
    bh_image image;
    uint32_t version;
    int nvm_size;
} bh_question;

static int ask(void *context) {
    bh_question *question = context;
    bh_guard_begin(&question->guard);
    question->version = question->firmware->abi_version();
    question->nvm_size = question->firmware->nvm(FIL_NVM_SIZE, NULL, 0);
    bh_guard_end(&question->guard);
    return BH_OK;
}

static const char *problem_of_answer(const bh_question *question, int result, char *text, size_t size) {
    if (result != BH_OK) {
        return bh_guard_text(&question->guard, result, text, size);
    }
    if (question->version != FIL_ABI_VERSION) {
        snprintf(text, size, "the firmware was built against fil.h version %u, this is version %d", question->version,
                 FIL_ABI_VERSION);
        return text;
    }
    if (question->nvm_size < 0 || question->nvm_size > BH_NVM_MAX) {
        snprintf(text, size, "fil_nvm(FIL_NVM_SIZE) returned %d, allowed: 0..%d", question->nvm_size, BH_NVM_MAX);
        return text;
    }
    return NULL;
}

/* Size of the firmware's NVM image, or < 0 when the firmware is refused. */
static int nvm_size_of(const bh_firmware *firmware) {
    bh_question question;
    char text[BH_ERROR_TEXT];
    memset(&question, 0, sizeof question);
    question.firmware = firmware;
    (void)bh_image_find(firmware->address, &question.image);
    const int result = bh_guard_run(&question.guard, &question.image, ask, &question);
    const char *problem = problem_of_answer(&question, result, text, sizeof text);
    if (problem != NULL) {
        refuse(result != BH_OK ? result : BH_FIRMWARE_ERROR, question.guard.address, problem);
        return -1;
    }
    return question.nvm_size;
}

/* ---- layout -------------------------------------------------------------------------------------------------- */

/* Most frames that can end on all buses in one tick, with one to spare for each. */
static int64_t most_frames(const bh_bus_config *bus, uint32_t tick_us) {
    const int64_t bits = (int64_t)bus->bitrate * tick_us / 1000000;
    const int64_t least = bus->data_bitrate != 0 ? LEAST_FD_NOMINAL_BITS : LEAST_FRAME_BITS;
    return bus->n_buses * (bits / least + 2);
}

static void set_up(bh_sim *sim, const bh_config *config) {
    sim->firmware = config->firmware;
    sim->tick_ns = (uint64_t)config->tick_us * NS_PER_US;
    sim->dt_s = config->tick_us * 1e-6;
    sim->seed = config->seed;
    sim->boot.abi_version = FIL_ABI_VERSION;
    sim->boot.start_tick_ms = config->start_tick_ms;
    sim->boot.n_cells = (uint16_t)config->pack.n_cells;
    sim->boot.n_temps = (uint16_t)config->pack.n_temps;
    sim->boot.n_parameters = config->n_parameters;
    sim->boot.variant = config->variant;
    sim->boot.parameters = config->parameters;
    sim->controls.load_scale = 1.0;
    sim->heard.limits_ns = UINT64_MAX;
    sim->max_events = config->max_events;
    sim->outputs.balancing = sim->balancing;
    sim->buses.wire = &sim->wire;
    sim->faults.messages = sim->restbus.messages;
    sim->sense.inputs.can_state = sim->buses.dut_state;
    sim->sense.inputs.n_buses = (uint8_t)config->bus.n_buses;
    sim->tester.config = config->tester;
    sim->supply_min_v = config->pack.supply_min_v;
    sim->supply_on = 1;
    sim->frame_room = most_frames(&config->bus, config->tick_us);
    (void)bh_image_find(config->firmware.address, &sim->image);
}

/* Take every block in a fixed order; with an arena that only counts, `scratch` stands in for the simulation. */
static bh_sim *lay_out(bh_arena *arena, const bh_config *config, uint32_t nvm_size, bh_sim *scratch) {
    bh_sim *placed = bh_take(arena, sizeof *placed);
    bh_sim *sim = placed != NULL ? placed : scratch;
    sim->balancing = bh_take(arena, (size_t)config->pack.n_cells);
    sim->events = bh_take(arena, (size_t)config->max_events * sizeof *sim->events);
    sim->nvm.image = bh_take(arena, nvm_size);
    sim->nvm.capacity = nvm_size;
    bh_sense_create(arena, &sim->sense, config);
    bh_faults_create(arena, &sim->faults, config);
    bh_restbus_create(arena, &sim->restbus, config);
    bh_gbt_create(&sim->gbt, &config->environment);
    bh_bus_create(arena, &sim->buses, &config->bus, config->tick_us);
    bh_wire_create(arena, &sim->wire, &sim->faults, config);
    sim->plant = bh_plant_create(arena, config);
    return placed;
}

/* Bytes of arena, 0 = refused. */
static size_t measure(const bh_config *config, int *nvm_size) {
    bh_sim scratch;
    bh_arena counter = {NULL, 0, 0};
    const char *problem = bh_check(config);
    if (problem != NULL) {
        refuse(BH_BAD_CONFIG, 0, problem);
        return 0;
    }
    *nvm_size = nvm_size_of(&config->firmware);
    if (*nvm_size < 0) {
        return 0;
    }
    memset(&scratch, 0, sizeof scratch);
    lay_out(&counter, config, (uint32_t)*nvm_size, &scratch);
    return counter.used;
}

size_t bh_arena_size(const bh_config *config) {
    int nvm_size;
    return measure(config, &nvm_size);
}

static int power_up(void *context) {
    return bh_controller_supply(context);
}

bh_sim *bh_create(void *memory, size_t size, const bh_config *config) {
    int nvm_size;
    const size_t needed = measure(config, &nvm_size);
    if (needed == 0) {
        return NULL;
    }
    if (memory == NULL || size < needed || (uintptr_t)memory % ALIGNMENT != 0) {
        refuse(BH_BAD_CONFIG, 0, "the arena is too small or not aligned to 64 bytes");
        return NULL;
    }
    bh_arena arena = {memory, 0, size};
    bh_sim *sim = lay_out(&arena, config, (uint32_t)nvm_size, NULL);
    sim->arena_used = arena.used;
    sim->truth = bh_plant_truth(sim->plant);
    set_up(sim, config);
    sim->soc_counted = sim->truth->soc_mean;
    const int result = bh_guarded(sim, power_up);
    if (result != BH_OK) {
        refuse(result, sim->error_address, sim->error);
        return NULL;
    }
    return sim;
}

/* ---- looking in ---------------------------------------------------------------------------------------------- */

uint64_t bh_now_ns(const bh_sim *sim) {
    return sim->now_ns;
}

bh_outside *bh_outside_of(bh_sim *sim) {
    return &sim->sense.outside;
}

bh_outlet *bh_outlet_of(bh_sim *sim) {
    return &sim->buses.outlet;
}

const fil_inputs *bh_inputs_of(const bh_sim *sim) {
    return &sim->sense.inputs;
}

int bh_is_powered(const bh_sim *sim) {
    return sim->powered;
}

const bh_fault_report *bh_fault_reports(const bh_sim *sim) {
    return sim->faults.report;
}

const char *bh_error(const bh_sim *sim) {
    return sim->error;
}

uint64_t bh_error_address(const bh_sim *sim) {
    return sim->error_address;
}

int bh_node_status_of(const bh_sim *sim, int32_t bus, int32_t node, bh_node_status *status) {
    if (bus < 0 || bus >= sim->buses.n || node < 0 || node >= BH_N_NODES) {
        return -1;
    }
    const bh_can_node *can = &sim->buses.bus[bus].node[node];
    *status = (bh_node_status){can->state, can->tec, can->rec, can->recovering, can->since_ns};
    return 0;
}

double bh_bus_load_of(const bh_sim *sim, int32_t bus) {
    return bus < 0 || bus >= sim->buses.n ? -1.0 : bh_bus_load_at(&sim->buses, bus);
}

uint64_t bh_frames_lost(const bh_sim *sim) {
    return sim->rx_lost + sim->restbus.lost + sim->tester.lost;
}

/* ---- checkpoints --------------------------------------------------------------------------------------------- */

size_t bh_state_size(const bh_sim *sim) {
    return sim->firmware.pristine != NULL && sim->image.size > 0 ? sim->arena_used + sim->image.size : 0;
}

int bh_save_state(const bh_sim *sim, uint8_t *buffer, size_t size) {
    return bh_state_size(sim) == 0 ? -1 : bh_checkpoint_save(sim, sim->arena_used, &sim->image, buffer, size);
}

int bh_load_state(bh_sim *sim, const uint8_t *buffer, size_t size) {
    return bh_state_size(sim) == 0 ? -1 : bh_checkpoint_load(sim, sim->arena_used, &sim->image, buffer, size);
}

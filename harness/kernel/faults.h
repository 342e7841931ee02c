/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.h - the fault table: when a fault acts, how strongly, and whether the controller noticed.
 *
 * Clocks: a fault on the truth acts on the steps that start in [from, until); a fault on what the controller is given
 * acts on the samples taken in [from, until); a fault on a message acts on those due in [from, until).
 */
#ifndef BH_FAULTS_H
#define BH_FAULTS_H

#include "internal.h"

/* What a fault keeps between ticks. */
typedef struct bh_fault_state {
    double accumulator; /* of bh_plant_effect */
    double found;       /* truth: the scalar found when the fault became active */
    double found_line_v;
    uint64_t since_ns;  /* when it last became active */
    int32_t *held;      /* [n_held] elements found then: uV or mdegC */
    uint8_t on;         /* it acts now: strength > 0 */
    uint8_t shared;     /* given: another active fault acts on the same inputs */
    uint8_t changed;    /* given: the inputs of this tick differ because of it */
    uint8_t kept;       /* it was in the plan before, and has gone on */
    uint32_t seen;      /* messages and frames it was meant for */
    uint32_t touched;   /* of these: changed */
} bh_fault_state;

/* The planned faults of one place whose time has come; rebuilt only when a fault starts or ends. */
typedef struct bh_active {
    int32_t *fault; /* [max] indices into the plan, in its order */
    int32_t n;
    uint64_t next_ns; /* the list is right before this time */
} bh_active;

typedef struct bh_faults {
    uint64_t seed;
    int32_t max;
    int32_t n;
    int32_t n_held;
    bh_fault *plan;           /* [max] */
    bh_fault_state *state;    /* [max] */
    bh_fault_report *report;  /* [max] */
    bh_active truth;
    bh_active given;
    int32_t n_message_faults;
    int32_t n_protection_faults;
    int32_t n_gbt_faults;
    int32_t n_delays;    /* faults that delay a reading: readings are kept */
    uint64_t history_ns; /* for how long */
    /* truth */
    uint8_t bent;    /* the distortion is not neutral */
    uint8_t moving;  /* it has to be worked out anew in every tick */
    double ambient_degc; /* as configured: what is found where the distortion says NAN */
    double insulation_positive_ohm;
    double insulation_negative_ohm;
    double precharge_ohm;
    double supply_v;
    int32_t n_cells;
    int32_t n_temps;
    int32_t n_messages;
    const bh_message *messages; /* [n_messages] */
    int32_t n_buses;
} bh_faults;

/* frame_check.c: what is wrong with a fault on messages, frames or nodes; NULL = nothing, or it is none of these. */
const char *bh_frame_fault_problem(const bh_faults *faults, const bh_fault *fault);

/* What becomes of a message. */
typedef struct bh_fate {
    uint8_t lost;
    uint64_t delay_ns;
} bh_fate;

void bh_faults_create(bh_arena *arena, bh_faults *faults, const bh_config *config);
/* Replace the table; with keep, rows that were in it go on. Returns 0, or -1 with the reason in error and the old table
 * kept. */
int bh_faults_plan(bh_faults *faults, const bh_fault *plan, int32_t n, int keep, char *error, size_t size);

/* 0 = as found, 1 = as the operation says. */
double bh_fault_strength(const bh_fault *fault, uint64_t t_ns);
/* Where the noise of a fault comes from in one tick, whatever happened before; 0 for faults without. */
uint64_t bh_fault_key(const bh_fault *fault, uint64_t seed, uint64_t tick);
/* 0 to below 1, for one element in one tick, whatever happened before. */
double bh_fault_uniform(const bh_fault *fault, uint64_t seed, uint64_t tick, int32_t element);
/* fault->value, with noise if it has any: one number per element. */
double bh_fault_value(const bh_fault *fault, uint64_t key, int32_t element);

/* Bring a list up to time t_ns. Returns 1 when it changed. */
int bh_active_update(bh_faults *faults, bh_active *active, int32_t first_point, int32_t last_point, uint64_t t_ns);
/* Count a tick in which a fault made a difference. */
void bh_fault_fired(bh_fault_report *report, uint64_t t_ns);

/* Before the plant step that starts at start_ns: fill the distortion. */
void bh_faults_bend(bh_faults *faults, bh_plant *plant, uint64_t start_ns, uint64_t tick);
/* After it: what did it do to the inputs? */
void bh_faults_observe(bh_faults *faults, const bh_plant *plant, uint64_t now_ns, double dt_s);

/* A message or frame came that the fault is meant for: whether it is to touch it, by time, number and chance. */
int bh_fault_touches(bh_faults *faults, int32_t i, uint64_t t_ns);
/* It made a difference. */
void bh_fault_touched(bh_faults *faults, int32_t i, uint64_t t_ns);
/* Random bits, the n-th of those for the message or frame that came last. */
uint64_t bh_fault_draw(const bh_faults *faults, int32_t i, uint32_t n);

bh_fate bh_faults_message(bh_faults *faults, int32_t message, uint64_t due_ns);

#endif

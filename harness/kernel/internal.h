/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h - what the parts of the kernel share: the arena, the distortions faults put on the plant, the plant.
 */
#ifndef BH_INTERNAL_H
#define BH_INTERNAL_H

#include "kernel.h"

/* Bump allocator over the one arena; with base == NULL it only counts. All blocks are zeroed and 64-byte aligned. */
typedef struct bh_arena {
    uint8_t *base;
    size_t used;
    size_t size;
} bh_arena;

void *bh_take(bh_arena *arena, size_t bytes);

enum { BH_POSITIVE = 0, BH_NEGATIVE = 1, BH_PRECHARGE = 2, BH_N_CONTACTORS = 3 };

/* What faults do to the truth in this tick. faults.c resets it to neutral and fills it before every plant step when
 * any truth fault is planned; the plant only reads it. NAN in a scalar means: as configured. */
typedef struct bh_distortion {
    int32_t cells_touched;        /* 0 = every per-cell array below is neutral: take the fast path */
    double *cell_hold_v;          /* [n_cells] NAN = free */
    double *cell_leak_siemens;    /* [n_cells] extra conductance across the cell */
    double *cell_r_factor;        /* [n_cells] */
    double *cell_capacity_factor; /* [n_cells] */
    double *cell_heat_w;          /* [n_cells] */
    double *joint_extra_ohm;      /* [n_cells] bus bar behind the cell, inside its sense wires */
    double coolant_flow;          /* factor */
    double ambient_degc;          /* NAN */
    double insulation_positive_ohm;
    double insulation_negative_ohm;
    double precharge_ohm;
    double extra_open_s[BH_N_CONTACTORS];
    double extra_close_s[BH_N_CONTACTORS];
    uint8_t welded[BH_N_CONTACTORS];
    uint8_t stuck_open[BH_N_CONTACTORS];
    uint8_t fuse_open;
    uint8_t hvil_open;
    uint8_t crash;
    uint8_t charger_ignores_limits;
    uint8_t vehicle_ignores_limits;
    double charger_overvoltage_v;
    double supply_v; /* NAN */
    double load_w;   /* NAN */
    double line_v;   /* NAN */
    uint8_t pole_off;
    uint8_t pole_fed;
    double link_short_ohm; /* NAN = none */
    double coil_supply_v;  /* NAN */
    double bounce_s[BH_N_CONTACTORS];
    double clock_factor; /* of the controller's clock */
    uint8_t charger_reversed;
    uint8_t reset; /* the controller is held in reset */
} bh_distortion;

/* The limits and states the environment last heard from the DUT, filled by restbus.c. */
typedef struct bh_heard {
    double charge_limit_a;
    double discharge_limit_a;
    double charge_voltage_limit_v;
    uint8_t ready_to_drive;
    uint8_t ready_to_charge;
    uint64_t limits_ns; /* when charge or discharge limit last arrived; UINT64_MAX = never */
    /* of a charger with a protocol of its own: what it makes of it */
    uint8_t charger_speaks;
    uint8_t charger_on;
    double charger_a;
    double charger_v;
} bh_heard;

/* Inputs of one plant step besides the distortion. */
typedef struct bh_controls {
    uint32_t contactors;      /* FIL_OUT_* commanded by the firmware; 0 while it is off */
    const uint8_t *balancing; /* [n_cells] bleed resistors on; NULL = none */
    uint8_t plug;
    uint8_t ignition;
    double load_scale;
} bh_controls;

typedef struct bh_plant bh_plant;

/* The truth after a step, for sim.c, faults.c and restbus.c. Arrays live in the arena. */
typedef struct bh_truth {
    float *cell_v;    /* [n_cells] between the sense wires */
    float *cell_degc; /* [n_cells] */
    double pack_v;    /* cell side of the contactors */
    double link_v;
    double charger_v; /* charging inlet */
    double pack_a;
    double peak_a;    /* largest |current| inside the step (inrush) */
    double charger_a; /* positive = into the pack */
    double load_w;
    double line_v;    /* at the poles: of the overhead line, 0 off the wire unless the vehicle feeds them */
    uint8_t pole_on;  /* the poles are on the overhead line, live or dead */
    double insulation_ohm; /* what an ideal monitor would read: the poles in parallel */
    double coolant_degc;
    double supply_v;
    double clock_factor; /* of the controller's clock */
    double soc_mean;
    double soc_min;
    double soc_max;
    double soc_per_c; /* of the mean, by a coulomb through the pack */
    float cell_v_max;
    float cell_v_min;
    float cell_degc_max;
    float cell_degc_min;
    int32_t cell_v_max_index; /* from 1 */
    int32_t cell_v_min_index;
    int32_t cell_degc_max_index;
    uint32_t closed;       /* FIL_OUT_* bits: contacts really closed */
    uint32_t aux;          /* FIL_OUT_* bits: auxiliary contacts closed (follow the main contacts) */
    uint8_t fuse_open;
    uint8_t hvil_closed;
    uint8_t crash;
    uint8_t reset; /* the controller is held in reset */
} bh_truth;

/* Lay the plant out in the arena (count only when arena->base is NULL, then returns NULL). Tables are copied in. */
bh_plant *bh_plant_create(bh_arena *arena, const bh_config *config);
/* One step of dt_s. now_ns is the start of the step. */
void bh_plant_step(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns, double dt_s);
/* Long steps while nothing is under way: one of dt_s, and back to steps of tick_s. */
void bh_plant_stride(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns, double dt_s);
void bh_plant_end_stride(bh_plant *plant, const bh_controls *controls, double tick_s);
/* Contactors where they were commanded, limits and charger arrived. */
int bh_plant_settled(const bh_plant *plant, const bh_heard *heard, uint32_t commands);
/* How long what is asked of the link stays as it is; 0 while it changes. */
double bh_environment_steady_s(const bh_plant *plant, const bh_heard *heard);
bh_distortion *bh_plant_distortion(bh_plant *plant);
const bh_truth *bh_plant_truth(const bh_plant *plant);
/* Reset every field of the distortion to neutral. */
void bh_plant_undistort(bh_plant *plant);
void bh_plant_set_soc(bh_plant *plant, double soc);      /* mean; the spread is kept; dynamic states go to rest */
void bh_plant_set_temperature(bh_plant *plant, double degc); /* mean; the spread is kept */
void bh_plant_set_load_time(bh_plant *plant, double t_s);
/* Estimate of what a truth fault did to the inputs since it began, in LSB of the input it shows up in (1 uV, 1 mdegC,
 * 1 mA, 1 mV, 1 ohm, one digital bit). faults.c calls it once a tick for each active truth fault; >= 1 means fired.
 * accumulator belongs to the fault and starts at 0. */
double bh_plant_effect(const bh_plant *plant, const bh_fault *fault, double *accumulator, double dt_s);

#endif

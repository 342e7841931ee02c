/* SPDX-License-Identifier: Apache-2.0
 *
 * plant.h - the inside of the plant: plant.c, cell_create.c, cells.c, cell_voltage.c, thermal.c, pack.c, environment.c,
 * effect.c.
 *
 * The pack current is common to all cells, so everything linear in it is kept once. The terminal voltage of a cell is
 *   v = a - rd * drive_d - rc * drive_c - j * I - k * dq
 * a: open-circuit voltage with hysteresis, temperature and the drop of the cell's own leak, as of the last refresh
 * rd, rc: R0 for discharge and charge; drive_x = I + r1_ratio * x1 + r2_ratio * x2 of that direction, with x1 and x2
 *   the current behind the two RC pairs (exact over a step with constant current)
 * j: bus bar inside the sense wires; k: slope of the open-circuit voltage over charge; dq: charge since the refresh
 * Tables are looked up for one group of cells in every tick; in between the line above extrapolates.
 */
#ifndef BH_PLANT_H
#define BH_PLANT_H

#include "internal.h"

enum { BH_LANES = 8, BH_FOURS = BH_LANES / 4, BH_N_HINTS = 256, BH_DISCHARGE = 0, BH_CHARGE = 1 };

#define BH_PICK(value, configured) ((value) == (value) ? (value) : (configured)) /* NAN: as configured */

/* One stretch between two points of the SOC tables; slopes are per unit of SOC. */
typedef struct bh_segment {
    double soc;
    double end_soc;
    float inverse_width;
    float ocv_v;
    float ocv_slope;
    float hysteresis_v;
    float hysteresis_slope;
    float entropy;
    float entropy_slope;
} bh_segment;

typedef struct bh_resistance {
    float discharge_ohm;
    float charge_ohm;
} bh_resistance;

/* Sums over the cells of one group, and over all cells. */
typedef struct bh_sums {
    double a;
    double rd;
    double rc;
    double j;
    double k;
    double kq; /* k times the charge at the refresh */
} bh_sums;

/* How far the two RC pairs decay over an interval of so many ticks. */
typedef struct bh_decay {
    int64_t ticks;
    double one;
    double two;
} bh_decay;

typedef struct bh_cells {
    int32_t n;
    int32_t n_padded; /* to whole groups; padding repeats the last cell */
    int32_t n_groups;
    int32_t next_group;
    int32_t n_segments;
    int32_t n_temp;
    int32_t any_touched; /* a fault bent a cell in the last tick */
    int64_t tick;
    double dt_s;
    double charge_c;     /* through the pack since the start, positive = discharge */
    double current_a;
    double x1[2];
    double x2[2];
    double drive[2];
    bh_decay per_tick;
    bh_decay per_round;
    bh_sums sums;
    double base_sum;
    double inverse_capacity_sum;
    double round_charge_c; /* charge_c at the start of the round of look-ups under way */
    double drift;          /* mean change of the state of charge since then */
    double soc_min;        /* of the cells looked up in this round, brought back to its start */
    double soc_max;
    double last_round_charge_c; /* the same of the round before, complete */
    double round_soc_min;
    double round_soc_max;
    uint16_t hint[BH_N_HINTS];
    bh_segment *segments;
    bh_resistance *resistance; /* [n_temp][n_segments + 1] */
    double *table_degc;        /* [n_temp] */
    float *inverse_step_k;     /* [n_temp] to the next one */
    double inverse_hysteresis_soc;
    double self_siemens;
    float balancing_siemens;
    double *base;              /* [n] soc = base - charge_c * inverse_capacity */
    double *inverse_capacity;  /* [n] 1/C, faults included */
    double *own_inverse_capacity;
    double *last_charge_c; /* [n] at the last refresh */
    int64_t *last_tick;
    float *v; /* [n_padded] and the next five */
    float *a;
    float *rd;
    float *rc;
    float *j;
    float *k;
    float *r_scale; /* [n] and the following */
    float *h;       /* hysteresis state: -1 discharge branch .. 1 charge branch */
    float *hysteresis_v;
    float *entropy;
    float *leak_a; /* own current of the cell: self-discharge, balancing, short */
    float *y1;     /* leak_a behind the RC pairs */
    float *y2;
    float *free_v; /* of held cells: the voltage without the hold */
    float *free_r; /* R0 without the fault */
    float *heat_w; /* of the cell's own current */
    uint8_t *touched;
    bh_sums *group;         /* [n_groups] */
    double *group_charge_c; /* [n_groups] charge_c at the refresh */
} bh_cells;

typedef struct bh_thermal {
    int32_t every;  /* ticks */
    int32_t ticks;  /* since the last step */
    int32_t shadowed;
    double elapsed_s;
    double drive_a2s[2]; /* integrals since the last step: squares behind rd and rc, ... */
    double joint_a2s;    /* ... behind j, ... */
    double charge_c;     /* ... and charge */
    double *degc;   /* [n + 2] with a copy of each end cell outside, so that the loop needs no special case */
    double *next;   /* [n + 2] */
    double *shadow; /* [n + 2] deviation that faults alone have caused */
    double *source_w; /* [n] */
    float *out_degc;
} bh_thermal;

typedef struct bh_contactor {
    uint8_t armature; /* where the coil put it */
    uint8_t plain;    /* where the coil would have put it without extra times */
    uint8_t closed;   /* the contact itself: welded and stuck included */
    double waiting_s;
    double plain_waiting_s;
    double closed_s; /* since the armature closed; negative while it is open */
} bh_contactor;

/* The battery as seen from the contactors over one step: v = emf - r * I at its end. */
typedef struct bh_source {
    double emf_v;
    double r_ohm[2];
} bh_source;

/* What vehicle and charger ask for in one step. */
typedef struct bh_demand {
    double traction_w; /* what the load asks for less what the line gives */
    double line_w;     /* what the line gives, or could give while it holds float_v */
    double auxiliary_w;
    double discharge_limit_a;
    double charge_limit_a;
    double charger_a; /* negative: out of the pack */
    double charger_v;
    double short_siemens; /* across the link */
} bh_demand;

typedef struct bh_flow {
    double pack_a; /* mean over the step */
    double peak_a;
    double link_v; /* at its end */
    double load_w;
    double charger_a;
} bh_flow;

typedef struct bh_pack {
    bh_contactor contactors[BH_N_CONTACTORS];
    uint8_t fuse_blown;
    uint8_t main_closed;   /* in this step */
    uint8_t main_before;   /* in the one before */
    double fuse_a2s;
    double link_v;
    double decay_key;      /* exponent of the cached decay of the link */
    double decay;
    bh_source source;      /* of the last step, and the link before it: effect.c replays it */
    double link_before_v;
    double dt_s;
} bh_pack;

typedef struct bh_environment {
    int32_t load_index;
    uint8_t vehicle_on; /* as of the last step */
    uint8_t charger_on;
    uint8_t ready_to_drive; /* in this step */
    uint8_t ready_to_charge;
    double limit_keep; /* share of the distance to a new limit left after one tick */
    double load_t_s;
    double profile_w; /* asked by the profile, scaled */
    double discharge_limit_a; /* as followed: lagging, zero after the time-out */
    double charge_limit_a;
    double charge_voltage_limit_v;
    uint8_t charger_speaks; /* a protocol of its own: then it follows these orders */
    double order_a;
    double order_v;
    double charger_ramp_a;
    double *load_s;
    double *load_w;
    double *line_v; /* NULL: there is no line */
    double *line_w;
    double joined_s; /* main contactors closed for so long; kept in groups */
    double wire_v; /* of the line as the profile has it */
    double wire_w;
} bh_environment;

struct bh_plant {
    bh_pack_config config; /* array pointers inside are not used after creation, temp_cell excepted */
    bh_environment_config surroundings;
    bh_cell_model model; /* scalars only */
    bh_distortion distortion;
    bh_truth truth;
    bh_cells cells;
    bh_thermal thermal;
    bh_pack pack;
    bh_environment environment;
};

/* plant.c: a step in two halves, with the current found in between */
bh_demand bh_plant_prepare(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns,
                           double dt_s);
void bh_plant_finish(bh_plant *plant, const bh_controls *controls, const bh_flow *flow, double dt_s);

/* cell_create.c */
void bh_cells_create(bh_plant *plant, bh_arena *arena, const bh_config *config);

/* cells.c */
void bh_cells_use_dt(bh_plant *plant, double dt_s);
void bh_cells_refresh(bh_plant *plant, const uint8_t *balancing, double dt_s);
void bh_cells_refresh_every(bh_plant *plant, const uint8_t *balancing);
void bh_cells_refresh_all(bh_plant *plant);
void bh_cells_at_rest(bh_plant *plant);
bh_source bh_cells_source(const bh_cells *cells, const bh_plant *plant);
void bh_cells_advance(bh_plant *plant, double current_a, double dt_s);

/* cell_voltage.c */
void bh_cells_terminal(bh_cells *cells, bh_truth *truth);

/* thermal.c */
void bh_thermal_create(bh_plant *plant, bh_arena *arena, const bh_config *config);
void bh_thermal_advance(bh_plant *plant, double dt_s);

/* pack.c */
void bh_pack_switch(bh_plant *plant, uint32_t commands, double dt_s);
bh_flow bh_pack_flow(bh_plant *plant, const bh_demand *demand);
bh_flow bh_pack_flow_closed(const bh_plant *plant, const bh_demand *demand);
void bh_pack_commit(bh_plant *plant, const bh_flow *flow);
int bh_pack_precharging(const bh_plant *plant);
double bh_pack_precharge_ohm(const bh_plant *plant, double link_v); /* between the cells and the link */
double bh_pack_peak(const bh_plant *plant, double pack_a);          /* main contactors closed */
/* The link of this plant on a source, without and with a capacitor that is left to itself. */
bh_flow bh_pack_solve(const bh_plant *plant, const bh_demand *demand, double emf_v, double r_ohm);
bh_flow bh_pack_unsupported(bh_plant *plant, const bh_demand *demand, double emf_v, double source_siemens);
double bh_pack_insulation(const bh_plant *plant, const bh_distortion *distortion);

/* environment.c */
void bh_environment_create(bh_plant *plant, bh_arena *arena, const bh_config *config);
void bh_environment_listen(bh_plant *plant, const bh_controls *controls, const bh_heard *heard, uint64_t now_ns,
                           double dt_s);
bh_demand bh_environment_demand(const bh_plant *plant, const bh_distortion *distortion);
void bh_environment_commit(bh_plant *plant);
int bh_environment_settled(const bh_plant *plant, const bh_heard *heard);
uint8_t bh_environment_runs(const bh_plant *plant, const bh_distortion *distortion); /* the vehicle draws or feeds */
double bh_environment_line_v(const bh_plant *plant, const bh_distortion *distortion);
/* Voltage at the poles: that of the line, or of the link where the vehicle feeds them. */
double bh_environment_pole_v(const bh_plant *plant, const bh_distortion *distortion, double link_v);
uint8_t bh_environment_pole_on(const bh_plant *plant, const bh_distortion *distortion);

#endif

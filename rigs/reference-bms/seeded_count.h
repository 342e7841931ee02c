/* SPDX-License-Identifier: Apache-2.0
 *
 * seeded_count.h - seeded defects in how charge is counted (defects.toml, 450 to 455).
 */
#ifndef SEEDED_COUNT_H
#define SEEDED_COUNT_H

#include "bms_config.h"

/* Whether the charge was read back from the image. */
void seeded_count_init(bool kept);

/* What is counted of a portion of charge: all of it, unless a defect is switched on. */
int64_t seeded_count(int64_t portion);

#endif

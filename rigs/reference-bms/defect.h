/* SPDX-License-Identifier: Apache-2.0
 *
 * defect.h - seeded defects, which the test suite must find. Listed with their stories in defects.toml.
 *
 * Only a build with BMS_DEFECTS has them; in every other build DEFECT() is the constant 0 and leaves no code behind.
 */
#ifndef DEFECT_H
#define DEFECT_H

#ifdef BMS_DEFECTS
extern int bms_defect; /* the one that is switched on, 0 = none */
#define DEFECT(id) (bms_defect == (id))
#else
#define DEFECT(id) 0
#endif

#define DEFECT_LAST 508 /* the highest id in defects.toml */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens ends in one JSON document on stdout: the result, or the first error.
 */
#include "plugins/cni_main.h"

#include <errno.h>
#include <stdio.h>

#include "lib/deadline.h"
#include "lib/log.h"

int cni_main(
	const char *name, int (*run)(const struct cni_request *r, struct err *late, struct err *e))
{
	struct err e, late;
	struct cni_request request;
	char banner[64];
	(void)snprintf(banner, sizeof(banner), "CNI %s plugin v" ROOST_VERSION, name);
	log_init(name);
	cni_prepare_last_words(CNI_1_1_0);
	deadline_start(CNI_MAIN_DEADLINE_S);
	int r = cni_read(banner, &request, &late, &e);
	if (r > 0)
		return 0;
	if (r < 0)
		return cni_fail(request.version, r, &e);
	cni_prepare_last_words(request.version);
	r = run(&request, &late, &e);
	if (r >= 0 && late.text[0]) {
		r = -EINVAL;
		e = late;
	}
	int exit_status = r < 0 ? cni_fail(request.version, r, &e) : 0;
	cni_request_done(&request);
	return exit_status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node purge: this machine as it was before roost. Whoever still works with it is asked to go
 * first: the agent would make everything again, BIRD would put its routes back, and a pod without its link
 * has no network. Then the network configuration and the executables go, so that nothing new begins, then
 * what is in the kernel, then folders. Each step takes what is there, so doing it twice is fine, and what
 * fails does not keep the rest.
 *
 * As a DaemonSet (--stay) it waits for these three instead of refusing, and does not end by itself, as
 * the kubelet would only start it again.
 */
#include "cli/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/purge.h"
#include "cli/purge_files.h"
#include "cli/purge_kernel.h"
#include "ipam/agent_lock.h"
#include "lib/boot.h"
#include "lib/text.h"
#include "lib/wait.h"

#define LOOK_MS 2000 /* between two looks for who still works */
#define WHY 600

/* ---- Who still works ---- */

static bool is_listened_to(const struct purge *p, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct text t = TEXT_ON(a.sun_path);
	text_add(&t, "%s%s", p->root, path);
	int fd = t.cut ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool yes = connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 || errno == EAGAIN;
	(void)close(fd);
	return yes;
}

static bool has_agent(const struct purge *p)
{
	char dir[AGENT_CONF_PATH * 2];
	for (size_t i = 0; i < p->conf->n_state_dirs; i++) {
		(void)snprintf(dir, sizeof(dir), "%.250s%s", p->root, p->conf->state_dirs[i]);
		if (agent_lock_is_held(dir))
			return true;
	}
	return is_listened_to(p, p->conf->socket);
}

/* One that does not read our file has nothing of ours. */
static bool has_bird(const struct purge *p)
{
	char file[AGENT_CONF_PATH * 2];
	(void)snprintf(file, sizeof(file), "%.250s%s", p->root, p->conf->bird_file);
	return access(file, F_OK) == 0 && is_listened_to(p, p->conf->bird_socket);
}

/* Why it cannot begin yet; "": it can. */
static int find_obstacle(const struct purge *p, bool pods_too, char why[WHY], struct err *e)
{
	char names[300];
	size_t pods = 0;
	why[0] = '\0';
	if (has_agent(p)) {
		(void)snprintf(why, WHY,
			"roostd still runs on this machine: end it (systemctl disable --now "
			"roostd; in Kubernetes: kubectl -n roost-system delete daemonset roostd)");
		return 0;
	}
	if (has_bird(p)) {
		(void)snprintf(why, WHY,
			"BIRD still runs with roost's configuration, at %.200s: "
			"end it (systemctl stop bird)",
			p->conf->bird_socket);
		return 0;
	}
	int r = purge_count_pods(&pods, names, sizeof(names), e);
	if (r == 0 && pods > 0 && !pods_too)
		(void)snprintf(why, WHY,
			"%zu pod%s of roost still run%s on this machine: %s%s; delete %s, or cut "
			"%s off with --pods",
			pods, pods == 1 ? "" : "s", pods == 1 ? "s" : "", names,
			pods > 3 ? " and others" : "", pods == 1 ? "it" : "them",
			pods == 1 ? "it" : "them");
	return r;
}

/* ---- The command ---- */

static void purge_all(struct purge *p)
{
	purge_runtime_files(p);
	purge_kernel(p);
	purge_own_files(p);
	if (p->n_found == 0 && !p->report)
		(void)printf("nothing of roost is on this machine\n");
	(void)fflush(stdout);
}

/* Until nobody works with it any more. Each reason is told when it comes. */
static int wait_for_others(const struct purge *p, bool pods_too, struct err *e)
{
	struct wait w;
	char why[WHY], said[WHY] = "";
	int r = wait_open(&w, e);
	while (r == 0) {
		r = find_obstacle(p, pods_too, why, e);
		if (r < 0 || !*why)
			break;
		if (strcmp(why, said) != 0)
			(void)output_complain("waiting: %s", why);
		(void)text_copy(said, sizeof(said), why);
		wait_at(&w, boot_now_ms() + LOOK_MS);
		wait_block(&w);
	}
	wait_close(&w);
	return r;
}

/* Until somebody ends us. Process 1 of a container has no default action for a signal. */
static void stay(void)
{
	sigset_t ends;
	int number = 0;
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	(void)printf("done; staying until SIGTERM\n");
	(void)fflush(stdout);
	(void)sigwait(&ends, &number);
}

/* As root of the host's processes it ends at once, whatever it waits for. */
static void end_on_sigterm(int number)
{
	_exit(128 + number);
}

static int purge_begin(const struct options *o, const struct purge *p, struct err *e)
{
	char why[WHY];
	bool pods_too = o->given & OPTION_PODS;
	if (o->given & OPTION_STAY) {
		(void)signal(SIGTERM, end_on_sigterm);
		return wait_for_others(p, pods_too, e);
	}
	if (p->dry_run)
		return 0;
	int r = find_obstacle(p, pods_too, why, e);
	return r == 0 && *why ? err_set(e, EBUSY, "%s", why) : r;
}

int node_purge(const struct options *o)
{
	struct config c;
	struct err e = {0};
	if (config_read(o, &c, &e) < 0)
		return output_error(&e);
	struct purge p = {.conf = &c.conf,
		.root = o->root ? o->root : "",
		.dry_run = o->given & OPTION_DRY_RUN,
		.report = o->json ? json_pack("{s:[], s:[]}", "removed", "left") : NULL};
	if (purge_begin(o, &p, &e) < 0) {
		json_decref(p.report);
		return output_error(&e);
	}
	purge_all(&p);
	if (p.report)
		output_json(p.report);
	if (o->given & OPTION_STAY && p.n_failed == 0)
		stay();
	return p.n_failed > 0 || (p.dry_run && p.n_found > 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of settings and the check that each text passes, wherever it comes from: a default, the
 * file, the environment, the command line. To add one: a field in struct agent_conf, a row here, a line
 * in docs/AGENT.md; its key in the tables of agent/agent_conf.c.
 *
 * Paths are absolute, as an agent has no folder of its own, and hold nothing that has a meaning in
 * BIRD's language or as a pattern: some of them are written into its configuration.
 */
#include "agent/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cluster/status.h"
#include "lib/text.h"

#define SOCKET_MAX 107 /* bytes of a socket's path (struct sockaddr_un) */
#define DEVICE_MAX 14  /* the IPv6 one has a "6" appended */

#define AT(field) offsetof(struct agent_conf, field), sizeof(((struct agent_conf *)0)->field)

const struct setting settings[SETTINGS] = {
	{SETTING_NODE, "node", "ROOST_NODE", "node", AT(node), NULL, "NAME",
		"this node's name in the cluster (the host's name)"},
	{SETTING_STORE, "store", "ROOST_STORE", "store", AT(store.url), NULL, "URL",
		"the cluster store: file:PATH or etcd:URL[,URL...] (file:DATA_DIR/store)"},
	{SETTING_PATH, "data-dir", "ROOST_DATA_DIR", "dataDir", AT(data_dir), "/var/lib/roost",
		"DIR", "what must survive a reboot (/var/lib/roost)"},
	{SETTING_SOCKET, "socket", "ROOST_SOCKET", "socket", AT(socket), "/run/roost/agent.sock",
		"PATH", "where roostctl and pods that start ask (/run/roost/agent.sock)"},
	{SETTING_DETECT4, "address4", NULL, "address.ipv4", AT(detect[IPV4].text), "first-found",
		"HOW", "this node's IPv4 address (first-found), see below"},
	{SETTING_DETECT6, "address6", NULL, "address.ipv6", AT(detect[IPV6].text), "none", "HOW",
		"this node's IPv6 address (none), see below"},
	{SETTING_LEVEL, "log-level", NULL, "log.level", AT(log_level), "info", "LEVEL",
		"error, warning, info or debug (info)"},
	{SETTING_PREFIX, NULL, NULL, "etcd.prefix", AT(store.prefix), "/roost/", NULL, NULL},
	{SETTING_PATH_OR_NONE, NULL, NULL, "etcd.caFile", AT(store.ca), "", NULL, NULL},
	{SETTING_PATH_OR_NONE, NULL, NULL, "etcd.certFile", AT(store.cert), "", NULL, NULL},
	{SETTING_PATH_OR_NONE, NULL, NULL, "etcd.keyFile", AT(store.key), "", NULL, NULL},
	{SETTING_WORD, NULL, NULL, "etcd.user", AT(store.user), "", NULL, NULL},
	{SETTING_PATH_OR_NONE, NULL, NULL, "etcd.passwordFile", AT(store.password_file), "", NULL,
		NULL},
	{SETTING_WORD, NULL, NULL, "socketGroup", AT(socket_group), "", NULL, NULL},
	{SETTING_PATH, NULL, NULL, "bird.file", AT(bird_file), "/run/roost/bird.conf", NULL, NULL},
	{SETTING_SOCKET, NULL, NULL, "bird.socket", AT(bird_socket), "/run/bird/bird.ctl", NULL,
		NULL},
	{SETTING_PATH, NULL, NULL, "bird.include", AT(bird_include), "/etc/bird/roost.d", NULL,
		NULL},
	{SETTING_WORD, NULL, NULL, "bird.group", AT(bird_group), "bird", NULL, NULL},
	{SETTING_ROUTES, NULL, NULL, "routes", AT(routes_static), "bgp", NULL, NULL},
	{SETTING_DEVICE, NULL, NULL, "vxlan.device", AT(vxlan_device), "vxlan.roost", NULL, NULL},
	{SETTING_PATH_OR_NONE, NULL, NULL, "log.file", AT(log_file), "", NULL, NULL},
};

const struct setting *setting_find(const char *place)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].place, place) == 0)
			return &settings[i];
	err_abort("a text of the file has no setting"); /* the tables differ */
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\", *s))
			return false;
	return true;
}

static int check_path(const char *s, struct err *e)
{
	if (*s != '/')
		return err_set(e, EINVAL, "\"%.60s\" is not an absolute path", s);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || strchr("\"\\*?[", *p))
			return err_set(e, EINVAL,
				"\"%.60s\" has a character that a path here must not have", s);
	return 0;
}

static int check_store(const char *s, struct err *e)
{
	if (strncmp(s, "file:", 5) == 0)
		return check_path(s + 5, e);
	if (strncmp(s, "etcd:http", 9) == 0 && is_plain(s))
		return 0;
	return err_set(e, EINVAL, "\"%.60s\" is neither file:PATH nor etcd:URL[,URL...]", s);
}

static int check_socket(const char *s, struct err *e)
{
	int r = check_path(s, e);
	if (r == 0 && strlen(s) > SOCKET_MAX)
		return err_set(e, EINVAL,
			"\"%.60s...\" has %zu bytes, a socket's path has %d at "
			"most",
			s, strlen(s), SOCKET_MAX);
	return r;
}

static int check_prefix(const char *s, struct err *e)
{
	size_t len = strlen(s);
	if (len < 2 || *s != '/' || s[len - 1] != '/' || !is_plain(s))
		return err_set(e, EINVAL, "\"%.60s\" does not begin and end with /", s);
	return 0;
}

static int check_text(enum setting_kind kind, const char *s, struct err *e)
{
	switch (kind) {
	case SETTING_NODE:
		return text_is_dns_name(s) ? 0
					   : err_set(e, EINVAL,
						     "\"%.60s\" is no name of a node: lower "
						     "case letters, digits, - and .",
						     s);
	case SETTING_STORE:
		return check_store(s, e);
	case SETTING_PREFIX:
		return check_prefix(s, e);
	case SETTING_PATH_OR_NONE:
		return *s ? check_path(s, e) : 0;
	case SETTING_PATH:
		return check_path(s, e);
	case SETTING_SOCKET:
		return check_socket(s, e);
	case SETTING_WORD:
		return is_plain(s) ? 0 : err_set(e, EINVAL, "\"%.60s\" is no name", s);
	case SETTING_DEVICE:
		if (!text_is_ifname(s) || strlen(s) > DEVICE_MAX || !is_plain(s))
			return err_set(e, EINVAL,
				"\"%.60s\" cannot name a device (%d bytes at most)", s, DEVICE_MAX);
		return 0;
	default:
		return 0;
	}
}

static int put_routes(const char *s, bool *is_static, struct err *e)
{
	if (strcmp(s, "bgp") != 0 && strcmp(s, "static") != 0)
		return err_set(e, EINVAL, "\"%.60s\" is neither bgp nor static", s);
	*is_static = strcmp(s, "static") == 0;
	return 0;
}

int setting_put(const struct setting *t, const char *value, struct agent_conf *out, struct err *e)
{
	int r = check_text(t->kind, value, e);
	if (r < 0)
		return r;
	switch (t->kind) {
	case SETTING_DETECT4:
		return detect_parse(value, AF_INET, &out->detect[IPV4], e);
	case SETTING_DETECT6:
		return detect_parse(value, AF_INET6, &out->detect[IPV6], e);
	case SETTING_ROUTES:
		return put_routes(value, &out->routes_static, e);
	case SETTING_LEVEL:
		if (log_parse_level(value, &out->log_level) < 0)
			return err_set(e, EINVAL,
				"\"%.60s\" is neither error, warning, info nor debug", value);
		return 0;
	default:
		if (strlen(value) >= t->size)
			return err_set(e, EINVAL, "\"%.60s...\" has more than %zu bytes", value,
				t->size - 1);
		(void)text_copy((char *)out + t->offset, t->size, value);
		return 0;
	}
}

int setting_add_state_dir(const char *dir, struct agent_conf *out, struct err *e)
{
	int r = check_path(dir, e);
	if (r < 0)
		return r;
	if (out->n_state_dirs == AGENT_CONF_STATE_DIRS)
		return err_set(e, EINVAL, "more than %d state folders", AGENT_CONF_STATE_DIRS);
	for (size_t i = 0; i < out->n_state_dirs; i++)
		if (strcmp(out->state_dirs[i], dir) == 0)
			return err_set(e, EINVAL, "state folder %.200s is there twice", dir);
	if (!text_copy(out->state_dirs[out->n_state_dirs], AGENT_CONF_PATH, dir))
		return err_set(
			e, EINVAL, "\"%.60s...\" has more than %d bytes", dir, AGENT_CONF_PATH - 1);
	out->n_state_dirs++;
	return 0;
}

void setting_put_defaults(struct agent_conf *out)
{
	struct err e;
	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].preset &&
			setting_put(&settings[i], settings[i].preset, out, &e) < 0)
			err_abort(e.text); /* the table is wrong */
	out->headroom = 16;
	out->idle_block_s = 300;
	out->heartbeat_s = STATUS_HEARTBEAT_S;
	out->vxlan_port = 4789;
	out->vxlan_vni = 4096;
	out->exits_table = 8266;
}

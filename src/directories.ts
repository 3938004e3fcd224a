/** Where everything is: systemd's variables, or the places that a package uses. */
export interface Directories {
  configuration: string;
  runtime: string;
  state: string;
}

/** See RuntimeDirectory= in systemd.exec(5); of a list, the first. */
export function directoriesOf(environment: NodeJS.ProcessEnv): Directories {
  const first = (list: string | undefined, otherwise: string) => list?.split(':')[0] || otherwise;
  return {
    configuration: first(environment.CONFIGURATION_DIRECTORY, '/etc/ppp-routed'),
    runtime: first(environment.RUNTIME_DIRECTORY, '/run/ppp-routed'),
    state: first(environment.STATE_DIRECTORY, '/run/ppp-routed/state'),
  };
}

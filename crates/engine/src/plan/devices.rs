//! Device nodes (`--device`, `--privileged`).

use super::Facts;
use oci::runtime::Device;
use spec::ContainerSpec;

/// Plans the device nodes beyond the default ones, which the runtime makes itself. They were looked up on the
/// host before, so a directory of devices and `--privileged` are already spelled out.
pub fn plan(_spec: &ContainerSpec, facts: &Facts) -> Vec<Device> {
    facts.devices.clone()
}

//! Hosts, processes, links and capabilities, whatever stands behind them.

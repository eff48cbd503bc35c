defmodule Shop.Cart do
  @moduledoc """
  Carts in memory on every node. An item is acknowledged at once and sent to the other nodes that are connected. Nodes
  that meet again after a split exchange what they have, unless `exchange` is off: then what one side added stays
  unknown to the other.
  """
  use GenServer

  def start_link(exchange), do: GenServer.start_link(__MODULE__, exchange, name: __MODULE__)

  @spec add(String.t(), integer) :: :ok
  def add(cart, item), do: GenServer.call(__MODULE__, {:add, cart, item})

  @spec items(String.t()) :: {:ok, MapSet.t(integer)}
  def items(cart), do: GenServer.call(__MODULE__, {:items, cart})

  @impl true
  def init(exchange) do
    :ok = :net_kernel.monitor_nodes(true)
    {:ok, %{carts: %{}, exchange: exchange}}
  end

  @impl true
  def handle_call({:add, cart, item}, _from, state) do
    added = %{cart => MapSet.new([item])}
    GenServer.abcast(Node.list(), __MODULE__, {:merge, added})
    {:reply, :ok, merge(state, added)}
  end

  def handle_call({:items, cart}, _from, state) do
    {:reply, {:ok, Map.get(state.carts, cart, MapSet.new())}, state}
  end

  @impl true
  def handle_cast({:merge, carts}, state), do: {:noreply, merge(state, carts)}

  @impl true
  def handle_info({:nodeup, node}, state) do
    if state.exchange, do: GenServer.cast({__MODULE__, node}, {:merge, state.carts})
    {:noreply, state}
  end

  def handle_info({:nodedown, _node}, state), do: {:noreply, state}

  defp merge(state, carts) do
    %{state | carts: Map.merge(state.carts, carts, fn _cart, a, b -> MapSet.union(a, b) end)}
  end
end
